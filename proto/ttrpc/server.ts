/** The serving side of TTRPC. @module */
import type { ByteStream } from "../streams/byte_stream.ts";
import type { ServiceBinding } from "./service.ts";
import { ServerConnection } from "./server_connection.ts";

export interface TtrpcServerOptions {
  /**
   * Told about what no caller can mend: a method that threw anything but an RpcError, a connection
   * that broke. `where` names the method, or the connection.
   */
  onError?: (error: unknown, where: string) => void;
}

/** Serves any number of connections with the same services. */
export class TtrpcServer {
  readonly #services: ReadonlyMap<string, ServiceBinding>;
  readonly #onError: (error: unknown, where: string) => void;
  readonly #connections = new Set<ServerConnection>();
  #closed = false;

  constructor(services: readonly ServiceBinding[], options: TtrpcServerOptions = {}) {
    this.#services = new Map(services.map((service) => [service.typeName, service]));
    if (this.#services.size !== services.length) throw new TypeError("a service is bound twice");
    this.#onError = options.onError ?? (() => {});
  }

  /**
   * Resolves when the peer has closed the connection, or it broke; never rejects. The calls that
   * are then still running are aborted. The server owns the connection and closes it.
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

  /** Closes all connections and aborts their calls, now and for good. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.close();
  }
}
