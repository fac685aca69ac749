import { type Bench, testbedTest } from "../lib/testbed.ts";

/** As e2e(), for the lab: skipped anywhere else. */
export function lab(name: string, work: (bench: Bench) => Promise<void>): void {
  testbedTest(name, "lab", work, { ignore: Deno.env.get("QEMUBOX_LAB") !== "1" });
}
