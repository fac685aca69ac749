/** `ctr task rm -f` of a container whose guest does not do its part. */

import assert from "node:assert/strict";
import { ctr, type Ended } from "../lib/ctr.ts";
import { sandboxProcesses } from "../lib/sandbox_processes.ts";
import { logLines } from "../lib/testbed.ts";
import { patience, until, within } from "../lib/wait.ts";

/** The promise to the client. */
const REMOVED_WITHIN_MS = patience(30_000);

/** Removes a task by force. @throws {Error} if that takes longer than is promised */
export async function removeByForce(id: string): Promise<Ended> {
  return await within(
    `ctr task rm -f ${id}`,
    REMOVED_WITHIN_MS,
    ctr("task", "rm", "--force", id),
  );
}

/** Checks that the deadline of SIGKILL has ended the VM, once. */
export function assertDeadlinePassed(id: string): void {
  assert.equal(logLines(id).filter((line) => line.includes("did not exit within")).length, 1);
}

/** Waits until no process of a sandbox is left. */
export async function allEnded(id: string, withinMs: number): Promise<void> {
  const isOver = () => sandboxProcesses(id).length === 0 || null;
  await until(`end of all processes of ${id}`, withinMs, isOver);
}
