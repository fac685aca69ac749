import {
  createClient,
  guest,
  GUEST_RPC_PORT,
  GuestSecret,
  TtrpcConnection,
} from "../../proto/mod.ts";
import { dialAs } from "../guest/machine.ts";
import { TestHost } from "../qemu/guest.ts";
import { bootTimed } from "./boot_clock.ts";
import { bootParts, PARTS } from "./boot_parts.ts";
import type { Measure } from "./measure.ts";
import { shimPlan } from "./vm_host.ts";

/**
 * The time from the exec of QEMU until vminitd is ready, its parts, and the first call after it.
 */
export const boot: Measure = {
  name: "boot",
  rows: {
    "boot": "ms",
    "boot-cpu": "s",
    ...Object.fromEntries(PARTS.map((part) => [part, "ms" as const])),
  },
  async run() {
    await using host = new TestHost();
    const secret = GuestSecret.random();
    const { vm, ms, stage0Ms, cpu } = await bootTimed(host, shimPlan(host), secret);
    const readyAt = performance.now();
    if (stage0Ms === null) throw new Error("stage 0 did not report that it starts vminitd");
    const connection = new TtrpcConnection(await dialAs(vm, GUEST_RPC_PORT, secret));
    try {
      const system = createClient(guest.System, connection);
      const { timeline } = await system.configure({});
      const firstRpcMs = performance.now() - readyAt;
      const { spawnedMs, firstConsoleMs } = vm.timeline;
      return {
        "boot": ms,
        ...(cpu === null ? {} : { "boot-cpu": cpu }),
        ...bootParts({
          kernelUpMs: firstConsoleMs - spawnedMs,
          stage0Ms,
          readyMs: ms,
          firstRpcMs,
          guest: timeline.map(({ name, bootNanoseconds }) => ({
            name,
            bootMs: Number(bootNanoseconds) / 1e6,
          })),
        }),
      };
    } finally {
      connection.close();
    }
  },
};
