import { endsWithin, printable } from "../base/mod.ts";
import type { GuestConsole } from "./guest_console.ts";
import type { QmpEvent } from "./qmp_decoder.ts";
import type { VmProcess } from "./vm_process.ts";

/** How long QEMU may take to exit after a helper that exited by itself, in milliseconds. */
const EXIT_TIMEOUT_MS = 1_000;
/** Longest part of QEMU's reason for a shutdown that is kept. */
const REASON_CHARACTERS_MAX = 100;

/** Watches the processes of a VM: if one of them exits, the VM ends. */
export class VmEnd {
  readonly ended: Promise<VmExit>;
  readonly #qemu: VmProcess;
  readonly #helpers: readonly VmProcess[];
  readonly #console: GuestConsole;
  #stopping = false;
  #shutdownReason: string | null = null;

  constructor(qemu: VmProcess, helpers: readonly VmProcess[], console: GuestConsole) {
    this.#qemu = qemu;
    this.#helpers = helpers;
    this.#console = console;
    this.ended = this.#watch();
  }

  /** Notes that the VM is being stopped: its end from now on is `stopped`. */
  noteStop(): void {
    this.#stopping = true;
  }

  /** Takes an event of QEMU, for the reason of a shutdown. */
  noteEvent({ name, data }: QmpEvent): void {
    const reason = data["reason"];
    if (name === "SHUTDOWN" && typeof reason === "string") {
      this.#shutdownReason = printable(reason, REASON_CHARACTERS_MAX);
    }
  }

  /** Kills QEMU and waits until the VM has ended. */
  async stop(): Promise<void> {
    this.noteStop();
    this.#qemu.kill();
    await this.ended;
  }

  async #watch(): Promise<VmExit> {
    const first = await Promise.race([
      this.#qemu.exited.then(() => null),
      ...this.#helpers.map((helper) => helper.exited.then((status) => ({ helper, status }))),
    ]);
    // A helper exits by itself when QEMU's end of the socket closes: virtiofsd with 0, a confined
    // vhost-device-vsock with an error, since it cannot make its socket again. Then QEMU exited
    // first, and its exit is about to be seen.
    const isQemuFirst = first === null || first.status.signal === null &&
        await endsWithin(this.#qemu.exited, EXIT_TIMEOUT_MS);
    this.#qemu.kill();
    const status = await this.#qemu.exited;
    await this.#console.ended();
    if (this.#stopping) return { kind: "stopped", message: "virtual machine was stopped" };
    if (!isQemuFirst) {
      const why = await first.helper.describeExit();
      return { kind: "crashed", message: `${why}, so the virtual machine was stopped` };
    }
    if (status.code === 0 && status.signal === null) {
      const reason = this.#shutdownReason ?? "guest-reset";
      const what = reason.startsWith("guest") ? "guest reset" : `qemu exited (${reason})`;
      return { kind: "reset", message: `${what}; ${this.#console.describe()}` };
    }
    return { kind: "crashed", message: await this.#qemu.describeExit() };
  }
}

/** How a VM ended. */
export interface VmExit {
  /**
   * - `reset`: the guest reset, which is how it powers off. The caller knows whether that was asked
   *   for, or is a panic.
   * - `stopped`: this process stopped it.
   * - `crashed`: QEMU or one of its helpers exited.
   */
  readonly kind: "reset" | "stopped" | "crashed";
  /** One sentence. */
  readonly message: string;
}
