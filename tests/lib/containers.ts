/** Containers that a test starts, and takes away again. */

import { ctr, ctrOk, runArguments, task } from "./ctr.ts";
import { patience, until } from "./wait.ts";

/** Longer than any test: a container that has to be ended. */
export const FOREVER: readonly string[] = ["sleep", "3600"];
const STOPS_WITHIN_MS = patience(60_000);
const FIFOS = "/run/containerd/fifo";

/** Starts a container that runs until it is ended, detached. */
export async function startDetached(id: string): Promise<void> {
  await ctrOk(...runArguments(id, FOREVER, { flags: ["-d"] }));
}

/** SIGKILLs what a task runs; resolves when containerd knows of its end. */
export async function killTask(id: string): Promise<void> {
  await ctrOk("task", "kill", "--signal", "SIGKILL", id);
  const isStopped = async () => (await task(id))?.status === "STOPPED" || null;
  await until(`the end of ${id}`, STOPS_WITHIN_MS, isStopped);
}

/** Deletes the task, when there still is one, and the container. */
export async function removeContainer(id: string): Promise<void> {
  if (await task(id) !== null) {
    const { stderr } = await ctr("task", "rm", id);
    if (await task(id) !== null) throw new Error(`ctr task rm: ${stderr}`);
  }
  removeClientFifos(id);
  await ctrOk("container", "rm", id);
}

/**
 * ctr makes the FIFOs of a detached task, and removes them with the task. When the shim is killed,
 * containerd forgets the task before ctr can ask for it, and with any runtime they stay.
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
