/**
 * Creates a real sandbox again and again in this process, and fails one thing each time.
 *
 *     create_rig.ts steps|calls
 *
 * `steps`: each step of Create in turn. `calls`: each system call that acquires something, in turn,
 * until a Create needs fewer. After each failure, the system and this process's descriptors must be
 * as before. Prints a line per failure; exits with 1 when something is left.
 *
 * It is a separate program because it moves itself into a mount namespace, as the shim does.
 */

import assert from "node:assert/strict";
import { recording, type System, system } from "../../ffi/mod.ts";
import { type CreatePlan, planCreate } from "../../shim/plan/create_plan.ts";
import type { CreateSteps } from "../../shim/sandbox/create_steps.ts";
import type { SandboxName } from "../../shim/base/names.ts";
import { Sandbox } from "../../shim/sandbox/sandbox.ts";
import { enterMountNamespace } from "../../shim/storage/shared_directory.ts";
import { requestOf, SPEC } from "./bundle.ts";
import { silent } from "./failing_system.ts";
import { config, failCalls, nothingLeftAfter, sandboxSteps } from "./rig.ts";

/** More acquiring calls than any Create makes. */
const CALLS_MAX = 100;

const name: SandboxName = { namespace: "rig", id: "rig" };

/** Runs Create. Returns its error, or null after it has succeeded and the sandbox was ended. */
async function create(
  plan: CreatePlan,
  seam: System,
  wrap: (steps: CreateSteps) => CreateSteps,
  onCreated: () => void = () => {},
): Promise<Error | null> {
  const { lease, steps } = sandboxSteps(name, plan, seam);
  try {
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

async function failSteps(plan: CreatePlan, count: number): Promise<void> {
  for (let failAt = 0; failAt < count; failAt++) {
    const injected = new Error(`injected at step ${failAt}`);
    let failed = "no step";
    const error = await nothingLeftAfter(
      plan.container.request.bundle,
      () =>
        create(plan, system, (steps) => {
          const fail = (call: { name: string }) => {
            failed = call.name;
            return injected;
          };
          return recording(steps, { failAt, error: fail }).double;
        }),
    );
    assert.equal(error, injected, `Create hid the failure of ${failed}`);
    console.log(`step ${failAt} ${failed}: nothing is left`);
  }
}

enterMountNamespace(system);
const plan = planCreate(requestOf(name.id), SPEC, config);
// The first Create opens what stays open: libraries, the poller. It also shows how many steps there
// are.
let steps: readonly unknown[] = [];
const first = await create(plan, system, (real) => {
  const { double, calls } = recording(real);
  steps = calls;
  return double;
});
assert.equal(first, null);
try {
  if (Deno.args[0] === "steps") await failSteps(plan, steps.length);
  else {
    await failCalls(plan.container.request.bundle, CALLS_MAX, ({ seam, disarm }) => {
      return create(plan, seam, (real) => real, disarm);
    });
  }
} finally {
  Deno.removeSync(plan.container.request.bundle, { recursive: true });
}
Deno.exit(0);
