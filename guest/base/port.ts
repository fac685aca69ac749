import { describeError } from "../../base/mod.ts";
import { FdListener, type FdStream, type System, VMADDR } from "../../ffi/mod.ts";
import { type ByteStream } from "../../proto/mod.ts";
import { type Console } from "./console.ts";
import type { Gate } from "./gate.ts";

/** Limit of connections that wait to be accepted. */
const BACKLOG = 128;

/**
 * Limit of one write. Linux splits more than 32 KiB into packets of several fragments, and
 * vhost-device-vsock 0.3.0 stops serving a connection at the first of them: neither it nor anything
 * after it arrives.
 */
export const WRITE_BYTES_MAX = 28_672;

/**
 * A vsock port of vminitd's, and its open connections.
 *
 * Only the host is served, and of its programs only the shim (gate.ts). The kernel has no vsock
 * loopback (CONFIG_VSOCKETS_LOOPBACK), so a container that dials its own VM gets ENODEV or no
 * answer. VMs that share a device could dial each other; their connections are closed.
 */
export class Port {
  readonly #system: System;
  readonly #listener: FdListener;
  readonly #name: string;
  readonly #console: Console;
  readonly #served = new Set<Promise<void>>();

  /** @throws {SystemError} EADDRINUSE or another errno of bind(2) */
  constructor(system: System, name: string, port: number, console: Console) {
    this.#system = system;
    this.#name = name;
    this.#console = console;
    this.#listener = new FdListener(system.listenVsock(port, { backlog: BACKLOG }), {
      system,
      writeBytesMax: WRITE_BYTES_MAX,
    });
  }

  /** Serves the connections that `gate` admits forever, each on its own. Logs their errors. */
  async serve(
    gate: Pick<Gate, "admits">,
    handler: (connection: ByteStream) => Promise<void>,
  ): Promise<never> {
    for (;;) {
      const accepted = await this.#listener.accept();
      if (!this.#isFromHost(accepted)) {
        accepted.close();
        continue;
      }
      gate.admits(accepted).then((isAdmitted) => {
        if (isAdmitted) this.#serve(accepted, handler);
      });
    }
  }

  #serve(accepted: FdStream, handler: (connection: ByteStream) => Promise<void>): void {
    const served = handler(accepted)
      .catch((error) => this.#console.log(`${this.#name}: ${describeError(error)}`))
      .finally(() => {
        accepted.close();
        this.#served.delete(served);
      });
    this.#served.add(served);
  }

  #isFromHost({ fd }: FdStream): boolean {
    try {
      const { cid } = this.#system.vsockPeer(fd);
      if (cid === VMADDR.CID_HOST) return true;
      this.#console.log(`${this.#name}: refused connection from vsock context ${cid}`);
    } catch (error) {
      this.#console.log(`${this.#name}: ${describeError(error)}`); // closed already: ENOTCONN
    }
    return false;
  }

  /** Takes no more connections. Open ones stay. */
  close(): void {
    this.#listener.close();
  }

  /** Resolves when the admitted connections that are open now have closed. */
  async disconnected(): Promise<void> {
    await Promise.all(this.#served);
  }
}
