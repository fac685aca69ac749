import { chooseAccelerator, chooseVsockTransport, probeHost } from "../../qemu/mod.ts";
import { type Bench, testbedTest } from "../lib/testbed.ts";

/**
 * Defines a test as e2e() does, for a machine with KVM and vhost-vsock: the lab, or one that has
 * them itself. Anywhere else the test fails, so that it is never skipped unnoticed.
 */
export function lab(name: string, work: (bench: Bench) => Promise<void>): void {
  testbedTest(name, "lab", async (bench) => {
    const host = probeHost();
    const { accelerator, warning } = chooseAccelerator("auto", host);
    if (accelerator !== "kvm" || chooseVsockTransport(host) !== "kernel") {
      throw new Error(`run this in scripts/testbed --kvm: ${warning ?? "no /dev/vhost-vsock"}`);
    }
    await work(bench);
  });
}
