import { forceRemove, killTask } from "../lib/containers.ts";
import { Client, ctrOk, runArguments } from "../lib/ctr.ts";
import { timed } from "./clock.ts";
import type { Measure } from "./measure.ts";

/**
 * One container through containerd and its client. first-byte is from the call of `ctr run`, create
 * a whole `ctr run -d` (snapshot, shim, VM, container started), delete a `ctr task rm` of a stopped
 * task.
 */
export const ctrContainer: Measure = {
  name: "ctr",
  rows: { "ctr-first-byte": "ms", "ctr-create": "ms", "ctr-delete": "ms" },
  async run() {
    return { "ctr-first-byte": await firstByte(), ...await createAndDelete() };
  },
};

async function firstByte(): Promise<number> {
  return await firstByteOf(runArguments(newId(), ["echo", "up"], { flags: ["--rm"] }));
}

/** Returns the milliseconds until the container of a `ctr` prints the line "up". */
export async function firstByteOf(args: readonly string[]): Promise<number> {
  const from = performance.now();
  await using client = new Client(args);
  await client.line("up");
  const ms = performance.now() - from;
  await client.ended;
  return ms;
}

async function createAndDelete(): Promise<{ "ctr-create": number; "ctr-delete": number }> {
  const id = newId();
  try {
    const args = runArguments(id, ["sleep", "3600"], { flags: ["-d"] });
    const create = await timed(() => ctrOk(...args));
    await killTask(id);
    const deletion = await timed(() => ctrOk("task", "rm", id));
    await ctrOk("container", "rm", id);
    return { "ctr-create": create, "ctr-delete": deletion };
  } catch (error) {
    await forceRemove(id);
    throw error;
  }
}

/** Returns a unique container id. */
export function newId(): string {
  return `bench-${crypto.randomUUID().slice(0, 8)}`;
}
