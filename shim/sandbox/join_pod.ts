import { Code } from "../../proto/mod.ts";
import { answered, type GuestConnection } from "../guest_client/guest_connection.ts";
import { GuestError } from "../guest_client/guest_error.ts";
import { begin, ioOf } from "../guest_client/guest_io.ts";
import { type ContainerPlan, needsShare } from "../plan/container_plan.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import { type ContainerContext, ContainerSteps } from "./container_steps.ts";
import type { Pod } from "./pod.ts";

/** Deadline for deleting a container in the guest, whose files may be a million. */
const LEAVE_TIMEOUT_MS = 30_000;

/** A container that has joined the VM of its pod. */
export interface PodContainer {
  readonly io: ProcessIo;
  /** Releases what it has of the VM and of the host, once its processes have exited. */
  readonly leave: AsyncDisposable;
}

/**
 * Adds a container to the VM of its pod. A failure undoes what was done for it, and the pod is as
 * it was before.
 *
 * @param plan has a place in the pod.
 * @throws GuestError, RefusedError, SystemError
 */
export async function joinPod(
  plan: ContainerPlan,
  pod: Pod,
  guest: GuestConnection,
  context: ContainerContext & { readonly signal: AbortSignal },
): Promise<PodContainer> {
  await using undo = new AsyncDisposableStack();
  const steps = new ContainerSteps(plan, context);
  if (needsShare(plan)) undo.use(pod.share(steps.shared, plan.pod!.directory));
  const bundle = steps.bundle(pod.network);
  const failed = new AbortController();
  // The guest may have done a call that failed here. A call that was given up would still run.
  undo.defer(() => leaveGuest(guest, plan.request.id));
  const created = begin(() => steps.create(guest, bundle, context.signal));
  const opened = begin(() => {
    return steps.openIo(guest, AbortSignal.any([context.signal, failed.signal]));
  });
  const io = await ioOf(opened, [created], failed);
  return { io, leave: undo.move() };
}

async function leaveGuest(guest: GuestConnection, id: string): Promise<void> {
  try {
    await deleted("Task.Delete", (timeoutMs) => {
      return guest.task.delete({ id, execId: "" }, { timeoutMs });
    });
  } finally {
    await deleted("Bundles.Delete", (timeoutMs) => guest.bundles.delete({ id }, { timeoutMs }));
  }
}

/** Deletes something in the guest that may be absent. */
async function deleted(
  method: string,
  call: (timeoutMs: number) => Promise<unknown>,
): Promise<void> {
  try {
    await answered(method, LEAVE_TIMEOUT_MS, call);
  } catch (error) {
    if (!(error instanceof GuestError) || error.code !== Code.NotFound) throw error;
  }
}
