import { writeCpio } from "../../build/initrd/cpio.ts";
import { TestHost } from "../qemu/guest.ts";
import { bootTimed } from "./boot_clock.ts";
import type { Measure } from "./measure.ts";
import { shimPlan } from "./vm_host.ts";

/** Line of the guest: the kernel calls the interpreter with its argument and the script. */
const LINE = "floor /init";

/**
 * Lower bound for this machine: the shim's VM with an init that prints one line and exits, from the
 * exec of QEMU to that line.
 */
export const floor: Measure = {
  name: "floor",
  rows: { "floor": "ms", "floor-cpu": "s" },
  async run() {
    await using host = new TestHost();
    const plan = shimPlan(host);
    const initrdPath = `${host.folder}/initrd`;
    Deno.writeFileSync(initrdPath, floorInitrd());
    const files = { ...plan.files, initrdPath };
    const { ms, cpu } = await bootTimed(host, { ...plan, files, readyMarker: LINE });
    return { "floor": ms, ...(cpu === null ? {} : { "floor-cpu": cpu }) };
  },
};

/** The kernel runs `/bin/echo floor /init` as PID 1: no shell, no mount. */
function floorInitrd(): Uint8Array {
  return writeCpio([
    { kind: "directory", path: "bin", mode: 0o755 },
    { kind: "directory", path: "dev", mode: 0o755 },
    { kind: "character-device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", path: "bin/echo", mode: 0o755, content: Deno.readFileSync("/bin/busybox") },
    {
      kind: "file",
      path: "init",
      mode: 0o755,
      content: new TextEncoder().encode("#!/bin/echo floor\n"),
    },
  ]);
}
