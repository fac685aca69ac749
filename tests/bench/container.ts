import { timed } from "./clock.ts";
import type { Measure } from "./measure.ts";
import { Rootfs, ShimContainer } from "./shim_container.ts";

/**
 * One container through the shim's program, called as containerd calls it. create and delete are
 * the two calls from request to answer; first-byte is from the call of `start` to the container's
 * first byte of output.
 */
export const container: Measure = {
  name: "shim",
  rows: { "create": "ms", "first-byte": "ms", "delete": "ms" },
  async run() {
    using rootfs = new Rootfs();
    await using container = await ShimContainer.prepare({ rootfs, args: ["/bin/echo", "up"] });
    const from = performance.now();
    const firstByte = container.output().then(() => performance.now() - from);
    firstByte.catch(() => {});
    await container.start();
    const create = await timed(() => container.create());
    await container.task.start({ id: container.id });
    const values = { "create": create, "first-byte": await firstByte };
    await container.task.wait({ id: container.id });
    const deletion = await timed(() => container.delete());
    await container.shutdown();
    return { ...values, "delete": deletion };
  },
};
