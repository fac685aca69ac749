/**
 * Shared by the rigs: a sandbox in this process, injected failures, and a check that nothing is
 * left.
 */

import assert from "node:assert/strict";
import type { System } from "../../ffi/mod.ts";
import { resolveConfig } from "../../shim/config/config.ts";
import type { CreatePlan } from "../../shim/plan/create_plan.ts";
import { CreateSteps } from "../../shim/sandbox/create_steps.ts";
import { Lease } from "../../shim/lease/lease.ts";
import { type SandboxName, sandboxPaths } from "../../shim/base/names.ts";
import { Timeline } from "../../shim/base/timeline.ts";
import { assertNothingLeft, snapshot, SYSTEM_KINDS } from "../lib/system_state.ts";
import { chain, failing, type FailingSystem, silent } from "./failing_system.ts";
import { networkFacts } from "../../shim/lease/network_facts.ts";

/** Configuration of the sandboxes of all rigs. */
export const config = resolveConfig({
  file: null,
  environment: { QEMUBOX_WRITABLE: "disk" },
  annotations: {},
});

/** Returns the lease of a sandbox, and the steps that make it. */
export function sandboxSteps(
  name: SandboxName,
  plan: CreatePlan,
  system: System,
): { lease: Lease; steps: CreateSteps } {
  const paths = sandboxPaths(config, name);
  const { bundle } = plan.container.request;
  const lease = Lease.create(paths, name, { bundle, socketPath: `${bundle}/shim.sock` });
  const steps = new CreateSteps(plan, {
    system,
    paths,
    runDir: config.runDir,
    logDir: config.logDir,
    stateDir: config.stateDir,
    name,
    lease,
    timeline: new Timeline(() => {}),
    log: silent,
    bootTimeoutMs: null,
    signal: new AbortController().signal,
    network: networkFacts(config, paths, name),
  });
  return { lease, steps };
}

/** Runs `work` on a bundle. The system and this process's descriptors must be as before. */
export async function nothingLeftAfter<T>(bundle: string, work: () => Promise<T>): Promise<T> {
  const before = await snapshot({ kinds: [...SYSTEM_KINDS, "descriptor"] });
  const outcome = await work();
  await assertNothingLeft(before);
  // A volume belongs to the host: clean-up must not touch what is in it.
  assert.equal(Deno.readTextFileSync(`${bundle}/volume/precious`), "precious\n");
  return outcome;
}

/**
 * Runs `work` again and again, and fails each call that acquires something in turn, until it needs
 * fewer calls.
 *
 * @param callsMax more calls than `work` makes, so that one that never succeeds does not loop
 * forever.
 * @param work returns its error, or null if it succeeded.
 */
export async function failCalls(
  bundle: string,
  callsMax: number,
  work: (failing: FailingSystem) => Promise<Error | null>,
): Promise<void> {
  for (let failAt = 0; failAt < callsMax; failAt++) {
    const breaking = failing(failAt);
    const error = await nothingLeftAfter(bundle, () => work(breaking));
    const failed = breaking.failed();
    if (failed === null) return assert.equal(error, null);
    assert(error !== null, `the failure of ${failed} was ignored`);
    assert.match(chain(error), /EIO/, `the error does not report the failure of ${failed}`);
    console.log(`call ${failAt} ${failed}: nothing is left`);
  }
  assert.fail(`more than ${callsMax} acquiring calls`);
}
