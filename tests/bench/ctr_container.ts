import { Client, ctr, ctrOk, runArguments, task } from "../lib/ctr.ts";
import { until } from "../lib/wait.ts";
import { timed } from "./clock.ts";
import type { Measure } from "./measure.ts";

const STOPS_WITHIN_MS = 60_000;

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
  const args = runArguments(newId(), ["echo", "up"], { flags: ["--rm"] });
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
    await ctrOk("task", "kill", "--signal", "SIGKILL", id);
    await until(
      `the end of ${id}`,
      STOPS_WITHIN_MS,
      async () => (await task(id))?.status === "STOPPED" || null,
    );
    const deletion = await timed(() => ctrOk("task", "rm", id));
    await ctrOk("container", "rm", id);
    return { "ctr-create": create, "ctr-delete": deletion };
  } catch (error) {
    await ctr("task", "rm", "--force", id);
    await ctr("container", "rm", id);
    throw error;
  }
}

function newId(): string {
  return `bench-${crypto.randomUUID().slice(0, 8)}`;
}
