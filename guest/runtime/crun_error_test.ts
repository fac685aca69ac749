import assert from "node:assert/strict";
import { Code } from "../../proto/mod.ts";
import { crunError, exitCodeOfFailure, lastError } from "./crun_error.ts";

/** A record as crun 1.28 writes it: indented, and without a newline after the last one. */
function record(msg: string, level = "error"): string {
  return `{\n  "msg": ${JSON.stringify(msg)},\n  "level": "${level}",\n  "time": "2026-11-24"\n}`;
}
const failed = { pid: 7, code: 1, signal: null, at: 0n } as never;

Deno.test("the last error of several records is returned, not a warning", () => {
  const log = [record("first"), record("open `a}b`: denied"), record("late", "warning")].join("\n");
  assert.equal(lastError(log), "open `a}b`: denied");
});

Deno.test("text that is not a record is returned as it is", () => {
  assert.equal(lastError("Failed to re-execute\n"), "Failed to re-execute");
  assert.equal(lastError('{\n  "msg": "cut'), '{\n  "msg": "cut');
  assert.equal(lastError(""), null);
});

Deno.test("errors with a meaning get its code", () => {
  const missing = crunError("create", failed, record("executable file `nope` not found in $PATH"));
  assert.equal(missing.code, Code.InvalidArgument);
  assert.match(missing.message, /crun create: executable file `nope` not found/);
  assert.equal(
    crunError("kill", failed, record("kill container: No such process")).code,
    Code.NotFound,
  );
  assert.match(crunError("start", failed, "").message, /exit status 1 and an empty log/);
});

Deno.test("an errno inside crun is not NotFound, except that kill finds no process", () => {
  for (const verb of ["create", "start", "exec", "update", "delete", "restore"]) {
    for (const errno of ["No such process", "No such file or directory"]) {
      assert.equal(crunError(verb, failed, record(`open x: ${errno}`)).code, Code.Unknown, verb);
    }
  }
});

Deno.test("an exec's errors have runc's wording, which clients recognize", () => {
  const missing = crunError(
    "exec",
    failed,
    record("executable file `nope` not found in $PATH: No such file or directory"),
  );
  assert.equal(missing.code, Code.InvalidArgument);
  assert.equal(
    missing.message,
    "OCI runtime exec failed: exec failed: unable to start container process: " +
      'exec: "nope": executable file not found in $PATH',
  );
  assert.equal(exitCodeOfFailure(missing), 127);
  const other = crunError("exec", failed, record("chdir to `/x`: Permission denied"));
  assert.match(other.message, /^OCI runtime exec failed: exec failed: chdir to `\/x`: Permission/);
  assert.equal(exitCodeOfFailure(other), 126);
});
