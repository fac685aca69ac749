import { MIB } from "../../base/mod.ts";
import type { Measure } from "./measure.ts";
import { MEMORY_LIMIT, SETTLE_SECONDS, vmMemory } from "./memory.ts";
import { cachedMib, dropFromCache } from "./page_cache.ts";
import { sandboxProcesses } from "./sandbox_processes.ts";
import { Rootfs, ShimContainer } from "./shim_container.ts";
import { erofsImage } from "./storage.ts";

const VMS = 10;
const FILE_MIB = 64;

/**
 * Ten idle VMs of one image with EROFS layers, each of which has read 64 MiB of it: the private
 * memory of each on the host, and its share of the host's page cache for the image, and for all
 * files on disk that their QEMUs have open. Without a shared cache that would be 64 MiB.
 */
export const idle: Measure = {
  name: "idle",
  rows: {
    "idle-private-per-vm": "MiB",
    "idle-image-cache-per-vm": "MiB",
    "idle-cache-per-vm": "MiB",
  },
  roundsMax: 1,
  notInLab: true,
  async run() {
    await using stack = new AsyncDisposableStack();
    const rootfs = stack.use(new Rootfs());
    Deno.writeFileSync(`${rootfs.path}/file`, new Uint8Array(FILE_MIB * MIB).fill(1));
    const image = stack.use(await erofsImage(rootfs)).path;
    await dropFromCache(image);
    const script =
      `dd if=/file of=/dev/null bs=1M 2>/dev/null; sleep ${SETTLE_SECONDS}; echo; exec sleep 3600`;
    const options = { rootfs, image, args: ["/bin/sh", "-c", script], memoryLimit: MEMORY_LIMIT };
    const vms: ShimContainer[] = [];
    for (let index = 0; index < VMS; index++) {
      vms.push(stack.use(await ShimContainer.prepare(options)));
    }
    await Promise.all(vms.map(async (container) => {
      await container.start();
      await container.create();
      await container.task.start({ id: container.id });
      await container.output();
    }));
    const files = [...new Set(vms.flatMap(({ vmName }) => filesOfQemu(vmName)))];
    const values = {
      "idle-private-per-vm": vms.map(({ vmName }) => vmMemory(vmName).privateMib),
      "idle-image-cache-per-vm": await cachedMib([image]) / VMS,
      "idle-cache-per-vm": await cachedMib(files) / VMS,
    };
    await Promise.all(vms.map(async (container) => {
      await container.kill();
      await container.delete();
      await container.shutdown();
    }));
    return values;
  },
};

/** Returns the files on disk that the QEMU of a sandbox has open. */
function filesOfQemu(vmName: string): string[] {
  const qemu = sandboxProcesses(vmName).find(({ role }) => role === "qemu")!;
  return [...Deno.readDirSync(`/proc/${qemu.pid}/fd`)].flatMap(({ name }) => {
    try {
      const path = Deno.readLinkSync(`/proc/${qemu.pid}/fd/${name}`);
      return path.startsWith("/") && Deno.statSync(path).isFile ? [path] : [];
    } catch {
      return []; // A file without a name: the guest's memory.
    }
  });
}
