import { Code, RpcError } from "../../proto/mod.ts";
import type { Container } from "./container.ts";
import type { Process } from "./process.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";

/** Which process a call is about; `execId` is empty for a container's init. */
export interface ProcessId {
  readonly id: string;
  readonly execId: string;
}

/** The sandbox of this shim and the containers in it: what the calls of the task service find. */
export class Tasks {
  readonly containers = new Map<string, Container>();
  sandbox: Sandbox | null = null;
  /** Whether the VM ended without being asked, and took all that its containers had along. */
  isLost = false;
  /** QEMU's, the process that stands for all in the VM; also when it has ended already. */
  pid = 0;

  /** @throws RpcError NotFound. */
  container(id: string): Container {
    const container = this.containers.get(id);
    if (container === undefined) throw new RpcError(Code.NotFound, `no container ${id}`);
    return container;
  }

  /** @throws RpcError NotFound. */
  process({ id, execId }: ProcessId): Process {
    return this.container(id).process(execId);
  }

  /** @throws RpcError FailedPrecondition when the VM is gone. */
  required(): Sandbox {
    if (this.sandbox === null) throw new RpcError(Code.FailedPrecondition, "the VM is gone");
    return this.sandbox;
  }
}
