import { REPOSITORY } from "../../scripts/lib/paths.ts";
import { TestHost } from "../qemu/guest.ts";
import { bootTimed } from "./boot_clock.ts";
import type { Measure } from "./measure.ts";
import { shimPlan } from "./vm_host.ts";

/** The root image with bare_program.ts as vminitd; `deno task build:bare` makes it. */
const ROOT = `${REPOSITORY}/_output/qemubox-bare-root`;

/**
 * Lower bound for any Deno program in this VM: an empty one in vminitd's place, from the exec of
 * QEMU to its line.
 */
export const bareDeno: Measure = {
  name: "bare-deno",
  rows: { "bare-deno": "ms", "bare-deno-cpu": "s" },
  async run() {
    await using host = new TestHost();
    const plan = shimPlan(host);
    const files = { ...plan.files, rootPath: ROOT };
    const { ms, cpu } = await bootTimed(host, { ...plan, files });
    return { "bare-deno": ms, ...(cpu === null ? {} : { "bare-deno-cpu": cpu }) };
  },
};
