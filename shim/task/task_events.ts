import { events, timestampFromDate } from "../../proto/mod.ts";
import type { Logger } from "../base/log.ts";
import type { EventPublisher } from "./event_publisher.ts";
import { EventRate } from "./event_rate.ts";
import type { CreateRequest } from "../plan/create_request.ts";
import type { Exit } from "../guest_client/exit.ts";

/** Publishes the events of a task, with the topics of containerd's runtime v2 document. */
export class TaskEvents {
  readonly #publisher: Pick<EventPublisher, "publish">;
  readonly #ooms: EventRate;

  constructor(publisher: Pick<EventPublisher, "publish">, log: Pick<Logger, "warn">) {
    this.#publisher = publisher;
    this.#ooms = new EventRate("/tasks/oom", log);
  }

  created(request: CreateRequest, pid: number): void {
    this.#publisher.publish("/tasks/create", events.TaskCreateSchema, {
      containerId: request.id,
      bundle: request.bundle,
      rootfs: request.rootfs.map((mount) => ({ ...mount, options: [...mount.options] })),
      io: {
        stdin: request.stdin,
        stdout: request.stdout,
        stderr: request.stderr,
        terminal: request.terminal,
      },
      checkpoint: request.checkpoint,
      pid,
    });
  }

  started(id: string, pid: number): void {
    this.#publisher.publish("/tasks/start", events.TaskStartSchema, { containerId: id, pid });
  }

  execAdded(id: string, execId: string): void {
    const event = { containerId: id, execId };
    this.#publisher.publish("/tasks/exec-added", events.TaskExecAddedSchema, event);
  }

  execStarted(id: string, execId: string, pid: number): void {
    const event = { containerId: id, execId, pid };
    this.#publisher.publish("/tasks/exec-started", events.TaskExecStartedSchema, event);
  }

  paused(id: string): void {
    this.#publisher.publish("/tasks/paused", events.TaskPausedSchema, { containerId: id });
  }

  resumed(id: string): void {
    this.#publisher.publish("/tasks/resumed", events.TaskResumedSchema, { containerId: id });
  }

  /** @param path the directory of its files. */
  checkpointed(id: string, path: string): void {
    const event = { containerId: id, checkpoint: path };
    this.#publisher.publish("/tasks/checkpointed", events.TaskCheckpointedSchema, event);
  }

  /** A guest can cause any number of OOM events: they must not crowd out the others. */
  oom(id: string): void {
    if (!this.#ooms.take()) return;
    const event = { containerId: id };
    this.#publisher.publish("/tasks/oom", events.TaskOOMSchema, event, { expendable: true });
  }

  /** @param processId the exec's id, or the container's for its init. */
  exited(id: string, processId: string, pid: number, exit: Exit): void {
    this.#publisher.publish("/tasks/exit", events.TaskExitSchema, {
      containerId: id,
      id: processId,
      pid,
      exitStatus: exit.status,
      exitedAt: timestampFromDate(exit.at),
    });
  }

  deleted(id: string, pid: number, exit: Exit): void {
    this.#publisher.publish("/tasks/delete", events.TaskDeleteSchema, {
      containerId: id,
      pid,
      exitStatus: exit.status,
      exitedAt: timestampFromDate(exit.at),
    });
  }
}
