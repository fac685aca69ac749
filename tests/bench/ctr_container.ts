import { killTask } from "../lib/containers.ts";
import { Client, ctr, ctrOk, runArguments } from "../lib/ctr.ts";
import { timed } from "./clock.ts";
import type { Measure } from "./measure.ts";

/**
 * The same through containerd, with its own client: first-byte is from the call of `ctr run`, create
 * is a whole `ctr run -d` (snapshot, shim, VM, container started), delete a `ctr task rm` of a task
 * that has ended.
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

/** How long `ctr` takes to the line "up" of what it runs. Milliseconds. */
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
    await ctr("task", "rm", "--force", id);
    await ctr("container", "rm", id);
    throw error;
  }
}

/** For a container of a measure. */
export function newId(): string {
  return `bench-${crypto.randomUUID().slice(0, 8)}`;
}
