import { Code, RpcError } from "../../proto/mod.ts";
import { Container } from "./container.ts";
import type { GuestConnection } from "../guest_client/guest_connection.ts";
import type { Member } from "../sandbox/join_pod.ts";
import type { Logger } from "../base/log.ts";
import type { Pod } from "../sandbox/pod.ts";
import { reasons } from "../base/reasons.ts";
import type { TaskEvents } from "./task_events.ts";
import type { Tasks } from "./tasks.ts";
import type { CreateRequest } from "../plan/create_request.ts";

/** What coming and going of a pod's containers needs from the process that it happens in. */
export interface MembersHost {
  readonly events: TaskEvents;
  readonly log: Logger;
  /** Plans a further container and brings it into the VM of its pod; nothing is left when it fails. */
  joinPod(request: CreateRequest, pod: Pod, guest: GuestConnection): Promise<Member>;
  /** The container of a bundle was deleted, those of others still live in the sandbox. */
  onLeft(bundle: string, others: readonly string[]): void;
  readonly drainTimeoutMs: number;
}

/** The containers of a pod, as they come after the first, and as they go before the last. */
export class Members {
  readonly #tasks: Tasks;
  readonly #host: MembersHost;
  /** Those that are coming, by their ids. */
  readonly #joining = new Map<
    string,
    { readonly bundle: string; readonly done: Promise<unknown> }
  >();

  constructor(tasks: Tasks, host: MembersHost) {
    this.#tasks = tasks;
    this.#host = host;
  }

  /** How many are on their way: nobody may end the VM under them. */
  get joining(): number {
    return this.#joining.size;
  }

  /** Resolves when those that are on their way now have come, or have failed. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#joining.values()].map(({ done }) => done));
  }

  /** @throws RpcError AlreadyExists; what makes the create fail. */
  async join(request: CreateRequest, pod: Pod, guest: GuestConnection): Promise<{ pid: number }> {
    const { id, bundle } = request;
    const { containers } = this.#tasks;
    if (containers.has(id) || this.#joining.has(id)) {
      throw new RpcError(Code.AlreadyExists, `container ${id} already exists`);
    }
    const done = this.#host.joinPod(request, pod, guest);
    this.#joining.set(id, { bundle, done });
    try {
      const { io, leave: membership } = await done;
      const parts = { io, size: pod.size, membership };
      containers.set(id, new Container(request, parts, this.#host.drainTimeoutMs));
    } finally {
      this.#joining.delete(id);
    }
    this.#host.events.created(request, pod.hostPid);
    return { pid: pod.hostPid };
  }

  /** One that was deleted leaves the others. What cannot be undone goes with the VM. */
  async leave(container: Container): Promise<void> {
    const others = [...this.#tasks.containers.values()].map(({ request }) => request.bundle);
    const coming = [...this.#joining.values()].map(({ bundle }) => bundle);
    this.#host.onLeft(container.request.bundle, [...others, ...coming]);
    if (this.#tasks.isLost) return;
    try {
      await container.leave();
    } catch (error) {
      const why = reasons(error).map(({ message }) => message).join("; ");
      this.#host.log.warn(`container ${container.id} left something: ${why}`);
    }
  }
}
