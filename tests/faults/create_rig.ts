/**
 * Creates a real sandbox again and again in this process, and fails one thing each time:
 *
 *     create_rig.ts steps|calls
 *
 * `steps`: each step of Create in turn. `calls`: each system call that acquires something, in turn,
 * until a Create needs fewer. After each, the system and this process's descriptors are compared
 * with what they were before. Writes one line a failure; ends with 1 when something is left.
 *
 * A program of its own, because it moves itself into a mount namespace, as the shim does.
 */

import assert from "node:assert/strict";
import { recording, type System, system } from "../../ffi/mod.ts";
import { resolveConfig } from "../../shim/config.ts";
import { type CreatePlan, planCreate } from "../../shim/create_plan.ts";
import { CreateSteps } from "../../shim/create_steps.ts";
import { Lease } from "../../shim/lease.ts";
import { type SandboxName, sandboxPaths } from "../../shim/names.ts";
import { networkFacts } from "../../shim/network.ts";
import { Sandbox } from "../../shim/sandbox.ts";
import { enterMountNamespace } from "../../shim/shared_folder.ts";
import { Timeline } from "../../shim/timeline.ts";
import { requestOf, SPEC } from "./bundle.ts";
import { chain, failing, silent } from "./failing_system.ts";
import { assertNothingLeft, snapshot, SYSTEM_KINDS } from "../lib/system_state.ts";

/** More calls than any Create makes: a Create that never succeeds must not loop for ever. */
const CALLS_MAX = 100;

const name: SandboxName = { namespace: "rig", id: "rig" };
const config = resolveConfig({
  file: null,
  environment: { QEMUBOX_WRITABLE: "disk" },
  annotations: {},
});
const paths = sandboxPaths(config, name);

/** Runs one Create; null when it succeeded, then its sandbox was ended again. */
async function create(
  plan: CreatePlan,
  seam: System,
  wrap: (steps: CreateSteps) => CreateSteps,
  onCreated: () => void = () => {},
): Promise<Error | null> {
  const socketPath = `${plan.request.bundle}/shim.sock`;
  const lease = Lease.create(paths, name, { bundle: plan.request.bundle, socketPath });
  try {
    const steps = new CreateSteps(plan, {
      system: seam,
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
    const { sandbox, io } = await Sandbox.create(wrap(steps), silent);
    onCreated();
    await io[Symbol.asyncDispose]();
    await sandbox.end(2_000);
    return null;
  } catch (error) {
    return error as Error;
  } finally {
    lease.release();
  }
}

async function nothingLeftAfter<T>(work: () => Promise<T>): Promise<T> {
  const before = await snapshot({ kinds: [...SYSTEM_KINDS, "descriptor"] });
  const outcome = await work();
  await assertNothingLeft(before);
  // A volume is the host's: whatever is undone, nothing in it is.
  assert.equal(Deno.readTextFileSync(`${plan.request.bundle}/volume/precious`), "precious\n");
  return outcome;
}

async function failSteps(plan: CreatePlan, count: number): Promise<void> {
  for (let failAt = 0; failAt < count; failAt++) {
    const injected = new Error(`injected at step ${failAt}`);
    let failed = "no step";
    const error = await nothingLeftAfter(() =>
      create(plan, system, (steps) => {
        const fail = (call: { name: string }) => {
          failed = call.name;
          return injected;
        };
        return recording(steps, { failAt, error: fail }).double;
      })
    );
    assert.equal(error, injected, `Create hid the failure of ${failed}`);
    console.log(`step ${failAt} ${failed}: nothing is left`);
  }
}

async function failCalls(plan: CreatePlan): Promise<void> {
  for (let failAt = 0; failAt < CALLS_MAX; failAt++) {
    const { seam, failed, disarm } = failing(failAt);
    const error = await nothingLeftAfter(() => create(plan, seam, (steps) => steps, disarm));
    if (failed() === null) return assert.equal(error, null);
    assert(error !== null, `Create did not notice that ${failed()} failed`);
    assert.match(chain(error), /EIO/, `Create does not say that ${failed()} failed`);
    console.log(`call ${failAt} ${failed()}: nothing is left`);
  }
  assert.fail(`Create makes more than ${CALLS_MAX} acquiring calls`);
}

enterMountNamespace(system);
const plan = planCreate(requestOf(name.id), SPEC, config);
// The first one opens what stays open: libraries, the poller. And it tells how many steps there are.
let steps: readonly unknown[] = [];
const first = await create(plan, system, (real) => {
  const { double, calls } = recording(real);
  steps = calls;
  return double;
});
assert.equal(first, null);
try {
  await (Deno.args[0] === "steps" ? failSteps(plan, steps.length) : failCalls(plan));
} finally {
  Deno.removeSync(plan.request.bundle, { recursive: true });
}
Deno.exit(0);
