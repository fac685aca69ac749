import { endsWithin } from "../base/mod.ts";
import type { FdStream } from "../ffi/mod.ts";
import type { Balloon } from "./balloon.ts";
import { VmError } from "./error.ts";
import type { QmpClient } from "./qmp.ts";
import type { VmEnd, VmExit } from "./vm_end.ts";
import type { ProcessInfo } from "./vm_process.ts";
import type { VsockTransport } from "./vsock.ts";

/** How long QEMU may take to execute `quit`, and then to exit. */
const QUIT_TIMEOUT_MS = 1_000;

/** A running VM, which owns its processes, sockets and context id. */
export class Vm implements AsyncDisposable {
  /** QEMU first, then its helpers. */
  readonly processes: readonly ProcessInfo[];
  readonly cid: number;
  readonly timeline: VmTimeline;
  /** Resolves when the VM has ended, for whatever reason; its helpers may still be exiting. */
  readonly exited: Promise<VmExit>;
  readonly #parts: VmParts;
  readonly #ended = new AbortController();
  #disposal: Promise<void> | null = null;

  constructor(parts: VmParts) {
    this.#parts = parts;
    this.processes = parts.processes;
    this.cid = parts.cid;
    this.timeline = parts.timeline;
    this.exited = parts.end.ended;
    this.exited.then(({ message }) => this.#ended.abort(message));
  }

  /** QEMU's monitor. */
  get qmp(): QmpClient {
    return this.#parts.qmp;
  }

  /** The balloon that holds back part of the memory; null if none does. */
  get balloon(): Balloon | null {
    return this.#parts.balloon;
  }

  /**
   * Connects to a vsock port of the guest.
   *
   * @throws VmError `timeout`, `cancelled`, `protocol`; `crashed` if the VM has ended.
   */
  async dialGuest(port: number, options: { signal?: AbortSignal } = {}): Promise<FdStream> {
    const ended = this.#ended.signal;
    const signals = [ended, ...(options.signal === undefined ? [] : [options.signal])];
    try {
      ended.throwIfAborted();
      return await this.#parts.transport.dialGuest(port, { signal: AbortSignal.any(signals) });
    } catch (error) {
      if (!ended.aborted) throw error;
      throw new VmError("crashed", `virtual machine ended: ${ended.reason}`, { cause: error });
    }
  }

  /**
   * Waits up to `graceMs` for the guest to power off, then makes QEMU quit, then kills it, and
   * releases everything.
   *
   * @returns how the VM ended.
   */
  async shutdown(graceMs: number): Promise<VmExit> {
    if (!await endsWithin(this.exited, graceMs)) {
      this.#parts.end.noteStop();
      await this.#parts.qmp.execute("quit", undefined, { timeoutMs: QUIT_TIMEOUT_MS }).catch(
        () => {}, // QEMU is killed below.
      );
      await endsWithin(this.exited, QUIT_TIMEOUT_MS);
    }
    await this[Symbol.asyncDispose]();
    return await this.exited;
  }

  /** Kills the processes that still run and releases everything. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#parts.resources.disposeAsync();
    return this.#disposal;
  }
}

/** Times in the boot, in milliseconds since `bootVm` was called. */
export interface VmTimeline {
  readonly spawnedMs: number;
  readonly firstConsoleMs: number;
  readonly readyMs: number;
}

/** The parts of a Vm, of which it owns `resources`. */
export interface VmParts {
  readonly resources: AsyncDisposableStack;
  readonly end: VmEnd;
  readonly qmp: QmpClient;
  readonly balloon: Balloon | null;
  readonly processes: readonly ProcessInfo[];
  readonly cid: number;
  readonly transport: VsockTransport;
  readonly timeline: VmTimeline;
}
