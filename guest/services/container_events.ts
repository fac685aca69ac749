import { type ExitStatus, type System } from "../../ffi/mod.ts";
import {
  events as containerd,
  packAny,
  type Timestamp,
  timestampFromNanoseconds,
} from "../../proto/mod.ts";
import { type Container, type ContainerObserver } from "../container/container.ts";
import { type EventLog } from "../base/event_log.ts";
import { type Process } from "../container/process.ts";
import { type GuestEvent } from "../base/guest_event.ts";

/** Reports events of containers to the host, in containerd's own messages. */
export class ContainerEvents implements ContainerObserver {
  readonly #system: System;
  readonly #log: EventLog<GuestEvent>;

  constructor(system: System, log: EventLog<GuestEvent>) {
    this.#system = system;
    this.#log = log;
  }

  exited(container: Container, { execId, pid }: Process, exit: ExitStatus): void {
    this.#publish(
      "/tasks/exit",
      packAny(containerd.TaskExitSchema, {
        containerId: container.id,
        id: execId === "" ? container.id : execId,
        pid,
        ...exitFields(exit),
      }),
    );
  }

  oomKilled(container: Container): void {
    this.#publish("/tasks/oom", packAny(containerd.TaskOOMSchema, { containerId: container.id }));
  }

  #publish(topic: string, event: NonNullable<GuestEvent["event"]>): void {
    const timestamp = timestampFromNanoseconds(this.#system.clock("realtime"));
    this.#log.publish({ topic, event, timestamp });
  }
}

/** Returns the fields of an exit in containerd's messages. */
export function exitFields(exit: ExitStatus): { exitStatus: number; exitedAt: Timestamp } {
  return { exitStatus: exit.code, exitedAt: timestampFromNanoseconds(exit.at) };
}
