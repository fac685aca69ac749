import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { events } from "../proto/mod.ts";
import type { CreateRequest } from "./create_plan.ts";
import type { EventPublisher } from "./event_publisher.ts";
import type { Exit } from "./process_state.ts";

/** The events of a task's life, with the topics that containerd's runtime v2 document asks for. */
export class TaskEvents {
  readonly #publisher: Pick<EventPublisher, "publish">;

  constructor(publisher: Pick<EventPublisher, "publish">) {
    this.#publisher = publisher;
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

  exited(id: string, pid: number, exit: Exit): void {
    this.#publisher.publish("/tasks/exit", events.TaskExitSchema, {
      containerId: id,
      id,
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
