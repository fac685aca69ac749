import { timed } from "./clock.ts";
import type { Measure } from "./measure.ts";
import { processMemory } from "../lib/process_memory.ts";
import { sandboxProcesses } from "./sandbox_processes.ts";
import { Rootfs, run, SHIM, ShimContainer } from "./shim_container.ts";

/** A start is quick, so a round can have several. */
const PAIRS = 3;

/**
 * The shim's own start: `start` until it has exited with its answer, against the same program that
 * only prints its version; and the private memory of shims that serve no container yet. There are
 * several shims, so that what they share does not count.
 */
export const shimStart: Measure = {
  name: "shim-start",
  rows: { "shim-start": "ms", "bare-start": "ms", "shim-private": "MiB" },
  async run() {
    await using stack = new AsyncDisposableStack();
    const rootfs = stack.use(new Rootfs());
    const [starts, bareStarts]: [number[], number[]] = [[], []];
    const containers: ShimContainer[] = [];
    for (let pair = 0; pair < PAIRS; pair++) {
      bareStarts.push(await timed(() => run(SHIM, ["-v"])));
      const container = stack.use(await ShimContainer.prepare({ rootfs, args: ["/bin/echo"] }));
      starts.push(await timed(() => container.start()));
      // The task does not exist, but an answer means that the shim serves.
      await container.task.connect({ id: container.id }).catch(() => {});
      containers.push(container);
    }
    const memory = containers.map(({ vmName }) => {
      const { pid } = sandboxProcesses(vmName).find(({ role }) => role === "shim")!;
      return processMemory(pid).privateMib;
    });
    for (const container of containers) await container.shutdown();
    return { "shim-start": starts, "bare-start": bareStarts, "shim-private": memory };
  },
};
