import type { Measure } from "./measure.ts";
import { cpuSeconds } from "../lib/cpu_time.ts";
import { sandboxProcesses } from "./sandbox_processes.ts";
import { Rootfs, ShimContainer } from "./shim_container.ts";

/**
 * Several containers at once: the time of each from the call of its shim's `start` to its first
 * byte, and the CPU time of all processes of their VMs until then.
 */
export function parallel(count: number): Measure {
  const name = `parallel-${count}`;
  return {
    name,
    rows: { [name]: "ms", [`${name}-cpu`]: "s" },
    roundsMax: 2,
    notInLab: count > 1,
    async run() {
      await using stack = new AsyncDisposableStack();
      const rootfs = stack.use(new Rootfs());
      const args = ["/bin/sh", "-c", "echo up; exec sleep 3600"];
      const containers: ShimContainer[] = [];
      for (let index = 0; index < count; index++) {
        containers.push(stack.use(await ShimContainer.prepare({ rootfs, args })));
      }
      const times = await Promise.all(containers.map(async (container) => {
        const from = performance.now();
        await container.start();
        await container.create();
        await container.task.start({ id: container.id });
        await container.output();
        return performance.now() - from;
      }));
      const pids = containers.flatMap(({ vmName }) => sandboxProcesses(vmName));
      const cpu = pids.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
      await Promise.all(containers.map(async (container) => {
        await container.kill();
        await container.delete();
        await container.shutdown();
      }));
      return { [name]: times, [`${name}-cpu`]: cpu };
    },
  };
}
