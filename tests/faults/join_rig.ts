/**
 * Makes a real pod in this process, and lets a container join it again and again, failing one thing
 * each time: each system call that acquires something, and each call of the guest. After each
 * failure, the system and this process's descriptors must be as before. Prints a line per failure;
 * exits with 1 when something is left.
 *
 * It is a separate program because it moves itself into a mount namespace, as the shim does.
 */

import assert from "node:assert/strict";
import { type System, system } from "../../ffi/mod.ts";
import { planCreate } from "../../shim/plan/create_plan.ts";
import type { GuestConnection } from "../../shim/guest_client/guest_connection.ts";
import { joinPod } from "../../shim/sandbox/join_pod.ts";
import { planPodContainer } from "../../shim/plan/pod_container_plan.ts";
import type { SandboxName } from "../../shim/base/names.ts";
import type { OciSpec } from "../../shim/plan/oci.ts";
import type { Pod } from "../../shim/sandbox/pod.ts";
import { Sandbox } from "../../shim/sandbox/sandbox.ts";
import { enterMountNamespace } from "../../shim/storage/shared_directory.ts";
import { requestOf, SPEC } from "./bundle.ts";
import { type FailingSystem, silent } from "./failing_system.ts";
import { config, failCalls, nothingLeftAfter, sandboxSteps } from "./rig.ts";

/** More acquiring calls than any container makes. */
const CALLS_MAX = 50;

const name: SandboxName = { namespace: "rig", id: "pod" };
const { signal } = new AbortController();

/** The system with a failing call, or null while nothing fails. */
let broken: FailingSystem | null = null;
const seam: System = new Proxy(system, {
  get: (real, property) => Reflect.get(broken?.seam ?? real, property),
});

async function makePod(): Promise<{ sandbox: Sandbox; end: () => Promise<void> }> {
  const role = (type: string) => ({ "io.kubernetes.cri.container-type": type });
  const request = requestOf(name.id);
  const spec: OciSpec = { ...SPEC, annotations: role("sandbox") };
  const { lease, steps } = sandboxSteps(name, planCreate(request, spec, config), seam);
  const { sandbox, io } = await Sandbox.create(steps, silent);
  const end = async () => {
    await io[Symbol.asyncDispose]();
    await sandbox.end(2_000);
    lease.release();
    Deno.removeSync(request.bundle, { recursive: true });
  };
  return { sandbox, end };
}

const request = requestOf("member");

/** Lets the container join and leave. Returns the error, or null if both succeeded. */
async function join(pod: Pod, guest: GuestConnection, onJoined = () => {}): Promise<Error | null> {
  try {
    const plan = planPodContainer(request, SPEC, pod, pod.nextDirectory(), config);
    const context = { log: silent, namespace: name.namespace, signal };
    const { io, leave } = await joinPod(plan.container, pod, guest, context);
    onJoined();
    await io[Symbol.asyncDispose]();
    await leave[Symbol.asyncDispose]();
    return null;
  } catch (error) {
    return error as Error;
  }
}

/** Returns a double of an object with one method replaced. */
function withMethod<T extends object>(of: T, name: keyof T, method: unknown): T {
  return new Proxy(of, {
    get: (real, property) => {
      if (property === name) return method;
      const value = Reflect.get(real, property);
      return typeof value === "function" ? value.bind(real) : value;
    },
  });
}

/** Fails something after the guest has made the container. */
async function failGuest(pod: Pod, guest: GuestConnection): Promise<void> {
  const injected = new Error("injected");
  const createThenFail = async (...args: Parameters<typeof guest.task.create>) => {
    await guest.task.create(...args);
    throw injected;
  };
  const doubles = {
    create: withMethod(guest, "task", withMethod(guest.task, "create", createThenFail)),
    stream: withMethod(guest, "stream", () => Promise.reject(injected)),
  };
  for (const [what, double] of Object.entries(doubles)) {
    const error = await nothingLeftAfter(request.bundle, () => join(pod, double));
    assert.equal(error, injected);
    console.log(`guest ${what}: nothing is left`);
  }
}

enterMountNamespace(system);
const { sandbox, end } = await makePod();
const pod = sandbox.pod!;
// The first join opens what stays open.
assert.equal(await join(pod, sandbox.guest), null);
try {
  await failCalls(request.bundle, CALLS_MAX, async (breaking) => {
    broken = breaking;
    const error = await join(pod, sandbox.guest, breaking.disarm);
    broken = null;
    return error;
  });
  await failGuest(pod, sandbox.guest);
  assert.equal(await join(pod, sandbox.guest), null);
} finally {
  await end();
  Deno.removeSync(request.bundle, { recursive: true });
}
Deno.exit(0);
