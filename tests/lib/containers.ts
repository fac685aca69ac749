/** Start, kill and remove a test's containers. */

import { ctr, ctrOk, runArguments, task } from "./ctr.ts";
import { patience, until } from "./wait.ts";

/** Runs longer than any test: the container has to be killed. */
export const FOREVER: readonly string[] = ["sleep", "3600"];
const STOPS_WITHIN_MS = patience(60_000);
const FIFOS = "/run/containerd/fifo";

/** Starts a detached container that runs until it is killed. */
export async function startDetached(id: string): Promise<void> {
  await ctrOk(...runArguments(id, FOREVER, { flags: ["-d"] }));
}

/** Sends SIGKILL to a task; resolves when containerd reports it as stopped. */
export async function killTask(id: string): Promise<void> {
  await ctrOk("task", "kill", "--signal", "SIGKILL", id);
  const isStopped = async () => (await task(id))?.status === "STOPPED" || null;
  await until(`exit of ${id}`, STOPS_WITHIN_MS, isStopped);
}

/** Deletes the task, if it still exists, and the container. */
export async function removeContainer(id: string): Promise<void> {
  if (await task(id) !== null) {
    const { stderr } = await ctr("task", "rm", id);
    if (await task(id) !== null) throw new Error(`ctr task rm: ${stderr}`);
  }
  removeClientFifos(id);
  await ctrOk("container", "rm", id);
}

/** Kills and deletes the task, and removes the container. Either may be missing. */
export async function forceRemove(id: string): Promise<void> {
  await ctr("task", "rm", "--force", id);
  await ctr("container", "rm", id);
}

/**
 * Removes the FIFOs of a detached task. ctr makes them and removes them with the task; but if the
 * shim is killed, containerd forgets the task before ctr can ask for it, and they stay, with any
 * runtime.
 */
export function removeClientFifos(id: string): void {
  Deno.mkdirSync(FIFOS, { recursive: true });
  for (const { name } of Deno.readDirSync(FIFOS)) {
    const files = [...Deno.readDirSync(`${FIFOS}/${name}`)];
    if (files.length > 0 && files.every((one) => one.name.startsWith(`${id}-`))) {
      Deno.removeSync(`${FIFOS}/${name}`, { recursive: true });
    }
  }
}
