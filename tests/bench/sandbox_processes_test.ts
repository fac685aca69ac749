import assert from "node:assert/strict";
import { sandboxProcesses } from "./sandbox_processes.ts";

Deno.test("a missing sandbox has no processes", () => {
  assert.deepEqual(sandboxProcesses("no/sandbox"), []);
});
