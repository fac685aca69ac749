/** Frame of the conformance tests. */

import { IN_TESTBED } from "../lib/environment.ts";
import { assertNothingLeft, snapshot } from "../lib/system_state.ts";
import { Host, IS_OURS } from "./shim.ts";

/**
 * Defines a test with its own host that has to leave the system as it found it. Steps share what is
 * expensive: a VM takes five seconds to start under TCG. Skipped outside of the testbed.
 */
export function conformance(
  name: string,
  work: (host: Host, t: Deno.TestContext) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: !IN_TESTBED,
    // libc stays loaded once it is used.
    sanitizeResources: false,
    fn: async (t) => {
      const before = await snapshot();
      {
        await using host = await Host.make();
        try {
          await work(host, t);
        } catch (error) {
          console.error(`events: ${host.events.seen.map(({ topic }) => topic).join(" ")}`);
          for (const [bundle, log] of host.logs) console.error(`log of ${bundle}: ${log}`);
          throw error;
        }
      }
      await assertNothingLeft(before);
    },
  });
}

/** Defines a test that only our shim passes, and why. */
export function ours(
  reason: string,
  name: string,
  work: (host: Host, t: Deno.TestContext) => Promise<void>,
): void {
  if (IS_OURS) conformance(`${name} (not of containerd's own shim: ${reason})`, work);
}
