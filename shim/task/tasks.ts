import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Container } from "./container.ts";
import type { Process } from "./process.ts";
import { TaskError } from "./task_error.ts";

/** Identifies the process of a call. `execId` is empty for a container's init. */
export interface ProcessId {
  readonly id: string;
  readonly execId: string;
}

/** The sandbox of this shim and the containers in it: the state behind the task service. */
export class Tasks {
  readonly containers = new Map<string, Container>();
  sandbox: Sandbox | null = null;
  /** Whether the VM exited unasked, with everything that its containers had in it. */
  isLost = false;
  /** QEMU's pid, which stands for all in the VM, also after it has exited. */
  pid = 0;

  /** @throws TaskError `not-found` */
  container(id: string): Container {
    const container = this.containers.get(id);
    if (container === undefined) throw new TaskError("not-found", `no container ${id}`);
    return container;
  }

  /** @throws TaskError `not-found` */
  process({ id, execId }: ProcessId): Process {
    return this.container(id).process(execId);
  }

  /** @throws TaskError `precondition` if the VM is gone. */
  required(): Sandbox {
    if (this.sandbox === null) throw new TaskError("precondition", "the VM is gone");
    return this.sandbox;
  }
}
