import { MIB } from "../../base/mod.ts";
import type { Measure } from "./measure.ts";
import { processMemory } from "../lib/process_memory.ts";
import { ROLES, sandboxProcesses } from "./sandbox_processes.ts";
import { Rootfs, ShimContainer } from "./shim_container.ts";

const VMS = 4;
/** With what the shim adds for the guest itself, this makes a VM of 512 MiB. */
export const MEMORY_LIMIT = 256 * MIB;
/** Time until caches are written and garbage collectors have run, so that the VM idles. */
export const SETTLE_SECONDS = 5;

/**
 * Cost of an idle VM: four of one image run, and each value belongs to one of them. Private memory
 * is Private_Clean and Private_Dirty of /proc/PID/smaps without the guest's memory, of which the
 * touched part is counted separately.
 */
export const memory: Measure = {
  name: "memory",
  rows: {
    "memory-private-per-vm": "MiB",
    "memory-qemu": "MiB",
    "memory-virtiofsd": "MiB",
    "memory-vhost-device-vsock": "MiB",
    "memory-shim": "MiB",
    "guest-memory-touched": "MiB",
    "guest-memory-used": "MiB",
  },
  roundsMax: 1,
  async run() {
    await using stack = new AsyncDisposableStack();
    const rootfs = stack.use(new Rootfs());
    // A process in the VM prints its numbers.
    const script = `sleep ${SETTLE_SECONDS}; cat /proc/meminfo; exec sleep 3600`;
    const args = ["/bin/sh", "-c", script];
    const vms: ShimContainer[] = [];
    for (let index = 0; index < VMS; index++) {
      const options = { rootfs, args, memoryLimit: MEMORY_LIMIT };
      const container = stack.use(await ShimContainer.prepare(options));
      await container.start();
      await container.create();
      await container.task.start({ id: container.id });
      vms.push(container);
    }
    const used = [];
    for (const container of vms) used.push(usedMib(await container.output()));
    const each = vms.map(({ vmName }) => vmMemory(vmName));
    for (const container of vms) {
      await container.kill();
      await container.delete();
      await container.shutdown();
    }
    const all = (name: keyof VmMemory) => each.map((one) => one[name]);
    return {
      "memory-private-per-vm": all("privateMib"),
      "memory-qemu": all("qemu"),
      "memory-virtiofsd": all("virtiofsd"),
      // Only where the host's kernel does not carry vsock.
      ...(each.some((one) => one["vhost-device-vsock"] > 0)
        ? { "memory-vhost-device-vsock": all("vhost-device-vsock") }
        : {}),
      "memory-shim": all("shim"),
      "guest-memory-touched": all("guestRamMib"),
      "guest-memory-used": used,
    };
  },
};

export type VmMemory = Readonly<
  Record<(typeof ROLES)[number] | "privateMib" | "guestRamMib", number>
>;

/** Returns the memory of a VM in MiB, by role and in total. */
export function vmMemory(vmName: string): VmMemory {
  const sum = { privateMib: 0, guestRamMib: 0 };
  const byRole = Object.fromEntries(ROLES.map((role) => [role, 0])) as Record<
    (typeof ROLES)[number],
    number
  >;
  for (const { pid, role } of sandboxProcesses(vmName)) {
    const { privateMib, guestRamMib } = processMemory(pid);
    byRole[role] += privateMib;
    sum.privateMib += privateMib;
    if (role === "qemu") sum.guestRamMib += guestRamMib;
  }
  return { ...byRole, ...sum };
}

/** Returns the used memory of a guest in MiB: MemTotal − MemAvailable of /proc/meminfo. Pure. */
export function usedMib(meminfo: string): number {
  const kib = (name: string): number => {
    const found = new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(meminfo);
    if (found === null) throw new Error(`the guest's meminfo has no ${name}: ${meminfo}`);
    return Number(found[1]);
  };
  return (kib("MemTotal") - kib("MemAvailable")) / 1024;
}
