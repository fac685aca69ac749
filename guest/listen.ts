import { FdListener, type System } from "../ffi/mod.ts";
import { type ByteStream } from "../proto/mod.ts";
import { type Console, describe } from "./console.ts";
import { VsockStream } from "./vsock_stream.ts";

/** Connections that may wait to be accepted. */
const BACKLOG = 128;

/**
 * A vsock port of ours, and the connections on it that are still served.
 *
 * Only the host can connect: the kernel has no vsock loopback (CONFIG_VSOCKETS_LOOPBACK), so that a
 * container which dials its own machine gets ENODEV or no answer, and the device of a machine carries
 * packets from the host alone.
 */
export class Port {
  readonly #listener: FdListener;
  readonly #name: string;
  readonly #console: Console;
  readonly #served = new Set<Promise<void>>();

  /** @throws {SystemError} EADDRINUSE and whatever else bind(2) says */
  constructor(system: System, name: string, port: number, console: Console) {
    this.#name = name;
    this.#console = console;
    this.#listener = new FdListener(system.listenVsock(port, { backlog: BACKLOG }), { system });
  }

  /** Serves connections for ever, each on its own: what goes wrong on one is logged. */
  async serve(handler: (connection: ByteStream) => Promise<void>): Promise<never> {
    for (;;) {
      const connection = new VsockStream(await this.#listener.accept());
      const served = handler(connection)
        .catch((error) => this.#console.log(`${this.#name}: ${describe(error)}`))
        .finally(() => {
          connection.close();
          this.#served.delete(served);
        });
      this.#served.add(served);
    }
  }

  /** Resolves when the connections that there are now have ended. */
  async disconnected(): Promise<void> {
    await Promise.all(this.#served);
  }
}
