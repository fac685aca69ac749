/**
 * containerd's own shim has to pass the conformance tests as well, so that what they expect of ours is
 * what containerd's clients are used to. It runs containers by runc, which needs cgroup v2.
 */

import assert from "node:assert/strict";
import { REPOSITORY } from "../../scripts/lib/paths.ts";
import { FULL } from "../conformance/conformance.ts";
import { lab } from "./lab.ts";

const SHIM = "containerd-shim-runc-v2";
/** Long enough for the slower of the two on a busy machine. */
const DEADLINE_MS = 600_000;
/**
 * Under `--full`, for it says something of ours only when these files change: each was seen to pass, and
 * `terminal` once to wait without end for what a terminal should show.
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
    // Files in which nothing ran would pass, too.
    assert.match(text.decode(stdout), /ok \| [1-9]\d* passed/);
  });
}
