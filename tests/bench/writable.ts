import { timed } from "./clock.ts";
import type { Measure } from "./measure.ts";
import { Rootfs, run, ShimContainer } from "./shim_container.ts";

const FILE_MIB = 256;
/** Memory for a tmpfs with that file. */
const MEMORY_LIMIT = 1 << 30;
const WAYS = ["disk", "tmpfs"] as const;

/**
 * A container with a writable disk and one with a tmpfs, in turn: from the call of `start` to the
 * first byte, and 256 MiB with fsync by dd in the container, against the same on the host in the
 * directory of the disks.
 */
export const writable: Measure = {
  name: "writable",
  rows: {
    "first-byte-disk": "ms",
    "first-byte-tmpfs": "ms",
    "write-disk": "ms",
    "write-tmpfs": "ms",
    "write-host": "ms",
  },
  async run() {
    using rootfs = new Rootfs();
    const values: Record<string, number> = {};
    for (const way of WAYS) {
      const { firstByte, write } = await throughContainer(rootfs, way);
      values[`first-byte-${way}`] = firstByte;
      values[`write-${way}`] = write;
    }
    const file = `/var/lib/qemubox/bench-${crypto.randomUUID()}`;
    try {
      values["write-host"] = await timed(() => run("/bin/busybox", ["dd", ...ddTo(file)]));
    } finally {
      Deno.removeSync(file);
    }
    return values;
  },
};

async function throughContainer(
  rootfs: Rootfs,
  way: typeof WAYS[number],
): Promise<{ firstByte: number; write: number }> {
  const args = ["/bin/sh", "-c", "echo up; exec sleep 3600"];
  const annotations = { "io.qemubox.writable": way, "io.qemubox.writable-mib": "1000" };
  await using container = await ShimContainer.prepare({
    ...{ rootfs, args, annotations, memoryLimit: MEMORY_LIMIT },
  });
  const from = performance.now();
  const firstByte = container.output().then(() => performance.now() - from);
  firstByte.catch(() => {});
  await container.start();
  await container.create();
  await container.task.start({ id: container.id });
  const values = {
    firstByte: await firstByte,
    write: (await container.exec(["/bin/dd", ...ddTo("/big")])).run,
  };
  await container.kill();
  await container.delete();
  await container.shutdown();
  return values;
}

function ddTo(path: string): string[] {
  return ["if=/dev/zero", `of=${path}`, "bs=1M", `count=${FILE_MIB}`, "conv=fsync"];
}
