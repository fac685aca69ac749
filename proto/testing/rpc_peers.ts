import * as task from "../gen/containerd/runtime/task/v3/shim_schema.ts";
import * as guest from "../gen/qemubox/guest/v1/guest_schema.ts";
import type { RpcError } from "../rpc_error.ts";
import { type Client, createClient } from "../ttrpc/client.ts";
import { TtrpcConnection } from "../ttrpc/connection.ts";
import { TtrpcServer } from "../ttrpc/server.ts";
import {
  type CallContext,
  implement,
  type ServiceBinding,
  type ServiceImpl,
} from "../ttrpc/service.ts";
import { memoryPair } from "./memory_pair.ts";

/** A client and a server on one connection, both closed at the end of the scope. */
export interface RpcPeers extends AsyncDisposable {
  /** What the server reported, each with the method or "connection". */
  readonly errors: [unknown, string][];
  readonly server: TtrpcServer;
  /** Resolves when the server has ended the connection. */
  readonly served: Promise<void>;
  readonly connection: TtrpcConnection;
  readonly tasks: Client<typeof task.Task>;
  readonly system: Client<typeof guest.System>;
  readonly bundles: Client<typeof guest.Bundles>;
}

/** Connects a client to a server of these services. */
export function connectPeers(...bindings: ServiceBinding[]): RpcPeers {
  const [near, far] = memoryPair();
  const errors: [unknown, string][] = [];
  const server = new TtrpcServer(bindings, { onError: (...args) => errors.push(args) });
  const served = server.serve(far);
  const connection = new TtrpcConnection(near);
  return {
    errors,
    server,
    served,
    connection,
    tasks: createClient(task.Task, connection),
    system: createClient(guest.System, connection),
    bundles: createClient(guest.Bundles, connection),
    async [Symbol.asyncDispose]() {
      connection.close();
      await served;
    },
  };
}

/** Some methods of the task service. */
export type TaskImpl = Partial<ServiceImpl<typeof task.Task>>;

/** Binds some methods of the task service. */
export function tasks(impl: TaskImpl): ServiceBinding {
  return implement(task.Task, impl);
}

/** Resolves with the reason when the call is aborted. */
export function aborted({ signal }: CallContext): Promise<RpcError> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}
