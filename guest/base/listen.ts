import { FdListener, type FdStream, type System, VMADDR } from "../../ffi/mod.ts";
import { type ByteStream } from "../../proto/mod.ts";
import { type Console, describe } from "./console.ts";

/** Connections that may wait to be accepted. */
const BACKLOG = 128;

/**
 * Most bytes that go to the kernel at once. Linux puts what is above 32 KiB into packets of several
 * fragments, and vhost-device-vsock 0.3.0 stops serving a connection at the first one of these:
 * nothing of it arrives, and nothing after it.
 */
export const WRITE_BYTES_MAX = 28_672;

/**
 * A vsock port of ours, and the connections on it that are still served.
 *
 * Only the host is served. The kernel has no vsock loopback (CONFIG_VSOCKETS_LOOPBACK), so that a
 * container which dials its own machine gets ENODEV or no answer; machines that share a device could
 * dial each other, and are hung up on.
 */
export class Port {
  readonly #system: System;
  readonly #listener: FdListener;
  readonly #name: string;
  readonly #console: Console;
  readonly #served = new Set<Promise<void>>();

  /** @throws {SystemError} EADDRINUSE and whatever else bind(2) says */
  constructor(system: System, name: string, port: number, console: Console) {
    this.#system = system;
    this.#name = name;
    this.#console = console;
    this.#listener = new FdListener(system.listenVsock(port, { backlog: BACKLOG }), {
      system,
      writeBytesMax: WRITE_BYTES_MAX,
    });
  }

  /** Serves connections for ever, each on its own: what goes wrong on one is logged. */
  async serve(handler: (connection: ByteStream) => Promise<void>): Promise<never> {
    for (;;) {
      const accepted = await this.#listener.accept();
      if (!this.#isFromHost(accepted)) {
        accepted.close();
        continue;
      }
      const served = handler(accepted)
        .catch((error) => this.#console.log(`${this.#name}: ${describe(error)}`))
        .finally(() => {
          accepted.close();
          this.#served.delete(served);
        });
      this.#served.add(served);
    }
  }

  #isFromHost({ fd }: FdStream): boolean {
    try {
      const { cid } = this.#system.vsockPeer(fd);
      if (cid === VMADDR.CID_HOST) return true;
      this.#console.log(`${this.#name}: refused a connection from vsock context ${cid}`);
    } catch (error) {
      this.#console.log(`${this.#name}: ${describe(error)}`); // gone already: ENOTCONN
    }
    return false;
  }

  /** Takes no more connections; those that there are go on. */
  close(): void {
    this.#listener.close();
  }

  /** Resolves when the connections that there are now have ended. */
  async disconnected(): Promise<void> {
    await Promise.all(this.#served);
  }
}
