import { Code, RpcError } from "../../proto/mod.ts";
import { type ContainerPlan, needsShare } from "../plan/container_plan.ts";
import { type ContainerContext, ContainerSteps } from "./container_steps.ts";
import { type GuestConnection } from "../guest_client/guest_connection.ts";
import { begin, ioOf } from "../guest_client/guest_io.ts";
import type { Pod } from "./pod.ts";
import type { ProcessIo } from "../stdio/process_io.ts";

/** What the guest has to do for a container's end. Milliseconds; what it wrote may be a million files. */
const LEAVE_TIMEOUT_MS = 30_000;

/** A container that has come into the VM of its pod. */
export interface Member {
  readonly io: ProcessIo;
  /** Takes what it had of the VM and of the host, once its processes have ended. */
  readonly leave: AsyncDisposable;
}

/**
 * Brings a container into the VM of its pod. A failure undoes what was done for it, and the pod is what
 * it was before.
 *
 * @param plan has a place in the pod.
 */
export async function joinPod(
  plan: ContainerPlan,
  pod: Pod,
  guest: GuestConnection,
  context: ContainerContext & { readonly signal: AbortSignal },
): Promise<Member> {
  await using undo = new AsyncDisposableStack();
  const steps = new ContainerSteps(plan, context);
  if (needsShare(plan)) undo.use(pod.share(steps.shared, plan.pod!.folder));
  const bundle = steps.bundle(pod.network);
  const failed = new AbortController();
  // A call that fails here may have been done there; one that was given up would still be under way.
  undo.defer(() => leaveGuest(guest, plan.request.id));
  const created = begin(() => steps.create(guest, bundle, context.signal));
  const opened = begin(() => {
    return steps.openIo(guest, AbortSignal.any([context.signal, failed.signal]));
  });
  const io = await ioOf(opened, [created], failed);
  return { io, leave: undo.move() };
}

async function leaveGuest(guest: GuestConnection, id: string): Promise<void> {
  const options = { timeoutMs: LEAVE_TIMEOUT_MS };
  try {
    await orNone(guest.task.delete({ id, execId: "" }, options));
  } finally {
    await orNone(guest.bundles.delete({ id }, options));
  }
}

/** What is not there need not be deleted. */
async function orNone(deletion: Promise<unknown>): Promise<void> {
  try {
    await deletion;
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== Code.NotFound) throw error;
  }
}
