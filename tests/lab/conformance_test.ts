/**
 * Runs the conformance tests against containerd's own shim, so that they expect of ours what
 * containerd's clients are used to. It runs containers with runc, which needs cgroup v2.
 */

import assert from "node:assert/strict";
import { REPOSITORY } from "../../scripts/lib/paths.ts";
import { FULL } from "../lib/environment.ts";
import { lab } from "./lab.ts";

const SHIM = "containerd-shim-runc-v2";
/** Long enough for the slowest file on a busy machine. */
const DEADLINE_MS = 600_000;
/**
 * Only under `--full`, since the results change only with these files: each was seen to pass, and
 * `terminal` was once seen to wait forever for a terminal's output.
 */
const FILES = ["bootstrap", "checkpoint", "exec", "life", "state", "terminal", "soak"];

for (const name of FULL ? FILES : []) {
  lab(`${SHIM} passes tests/conformance/${name}_test.ts`, async () => {
    const file = `${REPOSITORY}/tests/conformance/${name}_test.ts`;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--allow-all", file],
      env: { QEMUBOX_CONFORMANCE_SHIM: SHIM, NO_COLOR: "1" },
      stdin: "null",
      signal: AbortSignal.timeout(DEADLINE_MS),
    }).output();
    const text = new TextDecoder();
    assert.equal(code, 0, text.decode(stdout) + text.decode(stderr));
    // A file in which nothing ran would pass, too.
    assert.match(text.decode(stdout), /ok \| [1-9]\d* passed/);
  });
}
