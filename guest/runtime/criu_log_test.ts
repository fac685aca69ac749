import assert from "node:assert/strict";
import { criuErrors, readCriuLog } from "./criu_log.ts";

Deno.test("criuErrors returns the first errors of a log on one line", () => {
  const log = [
    "(00.000000) Version: 4.2 (gitid 0)",
    "(00.012345) Error (criu/libnetlink.c:54): -95 reported by netlink: Operation not supported",
    "(00.012346)      1: Error (criu/files-reg.c:1234): File bin/x has bad size",
    "(00.012347) Warn  (criu/x.c:1): Error (not one)",
    "(00.012348) Error (criu/c.c:3): three",
    "(00.012349) Error (criu/d.c:4): four",
  ].join("\n");
  assert.equal(
    criuErrors(log),
    "(criu/libnetlink.c:54): -95 reported by netlink: Operation not supported; " +
      "(criu/files-reg.c:1234): File bin/x has bad size; (criu/c.c:3): three",
  );
  assert.equal(criuErrors(""), "");
  assert.ok(criuErrors(`(0.1) Error (${"x".repeat(5000)}`).length < 400);
});

Deno.test("readCriuLog returns the end of a long log, and nothing of a missing one", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, "a".repeat(300_000) + "\nlast");
  assert.match(readCriuLog(path), /^a{1000,262143}\nlast$/);
  await Deno.remove(path);
  assert.equal(readCriuLog(path), "");
});
