import { unsuppressed } from "../../base/mod.ts";
import type { Logger } from "../base/log.ts";
import type { GuestConnection } from "../guest_client/guest_connection.ts";
import type { CreateRequest } from "../plan/create_request.ts";
import type { Pod } from "../sandbox/pod.ts";
import type { SandboxMaker } from "../sandbox/sandbox_maker.ts";
import { Container } from "./container.ts";
import type { TaskEvents } from "./task_events.ts";
import { TaskError } from "./task_error.ts";
import type { Tasks } from "./tasks.ts";

/** The surroundings of a pod's containers. */
export interface PodContainersDeps {
  readonly events: TaskEvents;
  readonly log: Logger;
  readonly sandboxes: Pick<SandboxMaker, "join" | "keepFor">;
  readonly drainTimeoutMs: number;
}

/** The containers of a pod: those that join after the first, and leave before the last. */
export class PodContainers {
  readonly #tasks: Tasks;
  readonly #deps: PodContainersDeps;
  /** Containers on their way, by id. */
  readonly #joining = new Map<
    string,
    { readonly bundle: string; readonly done: Promise<unknown> }
  >();

  constructor(tasks: Tasks, deps: PodContainersDeps) {
    this.#tasks = tasks;
    this.#deps = deps;
  }

  /** How many containers are on their way. The VM must not end under them. */
  get joining(): number {
    return this.#joining.size;
  }

  /** Resolves when the containers that are on their way now have joined or failed. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#joining.values()].map(({ done }) => done));
  }

  /** @throws TaskError `already-exists`, or the error that made the create fail. */
  async join(request: CreateRequest, pod: Pod, guest: GuestConnection): Promise<{ pid: number }> {
    const { id, bundle } = request;
    const { containers } = this.#tasks;
    if (containers.has(id) || this.#joining.has(id)) {
      throw new TaskError("already-exists", `container ${id} already exists`);
    }
    const done = this.#deps.sandboxes.join(request, pod, guest);
    this.#joining.set(id, { bundle, done });
    try {
      const { io, leave: membership } = await done;
      const parts = { io, size: pod.size, membership };
      containers.set(id, new Container(request, parts, this.#deps.drainTimeoutMs));
    } finally {
      this.#joining.delete(id);
    }
    this.#deps.events.created(request, pod.hostPid);
    return { pid: pod.hostPid };
  }

  /** Lets a deleted container leave the others. What cannot be undone goes with the VM. */
  async leave(container: Container): Promise<void> {
    const others = [...this.#tasks.containers.values()].map(({ request }) => request.bundle);
    const coming = [...this.#joining.values()].map(({ bundle }) => bundle);
    this.#deps.sandboxes.keepFor(container.request.bundle, [...others, ...coming]);
    if (this.#tasks.isLost) return;
    try {
      await container.leave();
    } catch (error) {
      const why = unsuppressed(error).map(({ message }) => message).join("; ");
      this.#deps.log.warn(`container ${container.id} left something behind: ${why}`);
    }
  }
}
