/** The server side of TTRPC. @module */
import type { ByteStream } from "../streams/byte_stream.ts";
import type { ServiceBinding } from "./service.ts";
import { ServerConnection } from "./server_connection.ts";

/** Serves any number of connections with the same services. */
export class TtrpcServer {
  readonly #services: ReadonlyMap<string, ServiceBinding>;
  readonly #onError: (error: unknown, where: string) => void;
  readonly #connections = new Set<ServerConnection>();
  #closed = false;

  constructor(services: readonly ServiceBinding[], options: TtrpcServerOptions = {}) {
    this.#services = new Map(services.map((service) => [service.typeName, service]));
    if (this.#services.size !== services.length) throw new TypeError("service is bound twice");
    this.#onError = options.onError ?? (() => {});
  }

  /**
   * Serves a connection, which it owns and closes. Resolves when the peer has closed the
   * connection, or it broke; never rejects. Calls that still run are then aborted.
   */
  async serve(stream: ByteStream): Promise<void> {
    if (this.#closed) return stream.close();
    const connection = new ServerConnection(stream, this.#services, this.#onError);
    this.#connections.add(connection);
    try {
      await connection.run();
    } finally {
      this.#connections.delete(connection);
    }
  }

  /** Closes all connections and aborts their calls. Later connections are closed at once. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.close();
  }
}

/** Options of {@link TtrpcServer}. */
export interface TtrpcServerOptions {
  /**
   * Called for errors that no caller can fix: a method threw something other than an RpcError, or a
   * connection broke. `where` is the method, or "connection".
   */
  onError?: (error: unknown, where: string) => void;
}
