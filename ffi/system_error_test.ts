import assert from "node:assert/strict";
import { constants } from "node:os";
import { ERRNO_TABLE } from "./errno_table.ts";
import { errnoName, errnoNumber, isSystemError, SystemError } from "./system_error.ts";

Deno.test("the message has call, path, meaning and code", () => {
  const error = new SystemError("open", "ENOENT", { path: "/x" });
  assert.equal(error.message, "open /x: no such file or directory (ENOENT)");
  assert.deepEqual([error.syscall, error.code, error.errno, error.path], [
    "open",
    "ENOENT",
    2,
    "/x",
  ]);
  assert(!("path" in new SystemError("close", 9)));
  assert.equal(new SystemError("close", 9).message, "close: bad file descriptor (EBADF)");
});

Deno.test("an unknown errno still makes an error", () => {
  assert.equal(new SystemError("ioctl", 4000).code, "E4000");
  assert.equal(errnoNumber("ENONSENSE"), 0);
});

Deno.test("isSystemError selects by code", () => {
  const error = new SystemError("read", "EAGAIN");
  assert(isSystemError(error));
  assert(isSystemError(error, "EPERM", "EAGAIN"));
  assert(!isSystemError(error, "EPERM"));
  assert(!isSystemError(new Error("EAGAIN"), "EAGAIN"));
});

Deno.test("names and numbers match those of the runtime", () => {
  const aliases = new Set(["EWOULDBLOCK", "ENOTSUP"]);
  for (const [code, errno] of Object.entries(constants.errno)) {
    if (!aliases.has(code)) assert.equal(errnoNumber(code), errno, code);
  }
});

Deno.test("the table maps both ways", () => {
  for (const [errno, code] of ERRNO_TABLE) {
    assert.equal(errnoName(errno), code);
    assert.equal(errnoNumber(code), errno);
  }
});
