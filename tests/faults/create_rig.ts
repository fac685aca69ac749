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
import { recording, type System, system, SystemError } from "../../ffi/mod.ts";
import { resolveConfig } from "../../shim/config.ts";
import { type CreatePlan, type CreateRequest, planCreate } from "../../shim/create_plan.ts";
import { CreateSteps } from "../../shim/create_steps.ts";
import { Lease } from "../../shim/lease.ts";
import { type SandboxName, sandboxPaths } from "../../shim/names.ts";
import { networkFacts } from "../../shim/network.ts";
import { Sandbox } from "../../shim/sandbox.ts";
import { enterMountNamespace } from "../../shim/shared_folder.ts";
import { Timeline } from "../../shim/timeline.ts";
import { makeBundle, SPEC } from "./bundle.ts";
import { assertNothingLeft, snapshot, SYSTEM_KINDS } from "../lib/system_state.ts";

/** The calls that acquire something which has to be released. */
const ACQUIRING = [
  "mount",
  "restrictMounts",
  "open",
  "pipe",
  "listenUnix",
  "connectUnix",
  "socketPair",
  "duplicate",
  "memfd",
  "pidfdOpen",
  "spawn",
] as const satisfies readonly (keyof System)[];
/** More calls than any Create makes: a Create that never succeeds must not loop for ever. */
const CALLS_MAX = 100;

const silent = { debug() {}, info() {}, warn() {}, error() {} };
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

/** A system in which one call fails. */
interface FailingSystem {
  readonly seam: System;
  /** The call that failed; null: there were not that many. */
  failed(): string | null;
  /** From now on nothing fails: what follows is no longer Create. */
  disarm(): void;
}

/** The real system, in which acquiring call number `failAt` fails with EIO. */
function failing(failAt: number): FailingSystem {
  let failed: string | null = null;
  let armed = true;
  const error = (call: { name: string }) => {
    failed = call.name;
    return new SystemError(call.name, "EIO");
  };
  const calls = Object.fromEntries(
    ACQUIRING.map((call) => [call, system[call].bind(system) as (...args: never[]) => unknown]),
  );
  const { double } = recording(calls, { failAt, error });
  const seam = new Proxy(system, {
    get: (target, property) =>
      armed && property in calls
        ? Reflect.get(double, property)
        : Reflect.get(target, property, target),
  });
  return { seam, failed: () => failed, disarm: () => void (armed = false) };
}

function chain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const nested = error instanceof SuppressedError ? [error.error, error.suppressed] : [error.cause];
  return [error.message, ...nested.map((one) => one === undefined ? "" : chain(one))].join(": ");
}

/** A bundle, with FIFOs for its stdio. */
function prepare(): CreatePlan {
  const bundle = makeBundle();
  const fifo = (kind: string) => {
    system.mkfifo(`${bundle}/${kind}`, 0o600);
    return `${bundle}/${kind}`;
  };
  const request: CreateRequest = {
    id: name.id,
    bundle,
    rootfs: [],
    stdin: fifo("stdin"),
    stdout: fifo("stdout"),
    stderr: fifo("stderr"),
    terminal: false,
    checkpoint: "",
  };
  return planCreate(request, SPEC, config);
}

enterMountNamespace(system);
const plan = prepare();
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
