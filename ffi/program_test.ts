import assert from "node:assert/strict";
import { SIG } from "./constants.ts";
import { OUTPUT_BYTES_MAX, type Program, runProgram } from "./program.ts";
import { system } from "./real_system.ts";
import type { Pid } from "./system.ts";

const TIMEOUT_MS = 20_000;

function shell(script: string, changes: Partial<Program> = {}): Program {
  const args = ["-c", script];
  return { path: () => "/bin/sh", args, env: {}, input: "", timeoutMs: TIMEOUT_MS, ...changes };
}

Deno.test("runProgram returns status and output", async () => {
  const script = 'cat; echo "$NAME" >&2; exit 3';
  const run = await runProgram(shell(script, { input: "in", env: { NAME: "value" } }));
  assert.deepEqual([run.status.code, run.stdout, run.stderr, run.late], [
    3,
    "in",
    "value\n",
    false,
  ]);
});

Deno.test("runProgram returns no output that is over the limit", async () => {
  const run = await runProgram(shell(`head -c ${OUTPUT_BYTES_MAX + 1} /dev/zero`));
  assert.equal(run.stdout, null);
});

Deno.test("a daemon that keeps the output open does not delay the result", async () => {
  const run = await runProgram(shell("sleep 60 & echo $!"));
  const daemon = Number(run.stdout) as Pid;
  assert.equal(run.late, false);
  system.kill(daemon, SIG.KILL);
});

Deno.test("the timeout kills the program", async () => {
  const run = await runProgram(shell("sleep 60", { timeoutMs: 50 }));
  assert.deepEqual([run.status.signal, run.late], [SIG.KILL, true]);
});

Deno.test("the signal kills the program, also if it aborted before", async () => {
  const controller = new AbortController();
  const running = runProgram(shell("sleep 60"), { signal: controller.signal });
  controller.abort();
  for (const run of [await running, await runProgram(shell("sleep 60"), controller)]) {
    assert.deepEqual([run.status.signal, run.late], [SIG.KILL, true]);
  }
});
