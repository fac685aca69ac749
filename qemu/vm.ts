import type { FdStream } from "../ffi/mod.ts";
import type { Balloon } from "./balloon.ts";
import { LastLine, MarkerScanner } from "./console.ts";
import { endsWithin } from "./deadline.ts";
import { messageOf, VmError } from "./error.ts";
import type { QmpClient } from "./qmp.ts";
import type { QmpEvent } from "./qmp_decoder.ts";
import type { ProcessInfo, VmProcess } from "./vm_process.ts";
import type { VsockTransport } from "./vsock.ts";

/** How a machine ended. */
export interface VmExit {
  /**
   * - `reset`: the guest reset, which is how it powers off. Whether it was told to, or panicked, is
   *   for the caller to know.
   * - `stopped`: this process stopped it.
   * - `crashed`: QEMU or one of its helpers ended.
   */
  readonly kind: "reset" | "stopped" | "crashed";
  /** One sentence. */
  readonly message: string;
}

/** Milliseconds since `bootVm` was called. */
export interface VmTimeline {
  readonly spawnedMs: number;
  readonly firstConsoleMs: number;
  readonly readyMs: number;
}

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

/** How long QEMU may take to quit when told so. */
const QUIT_TIMEOUT_MS = 1_000;

/** A running machine, which owns its processes, sockets and context id. */
export class Vm implements AsyncDisposable {
  /** QEMU first, then its helpers. */
  readonly processes: readonly ProcessInfo[];
  readonly cid: number;
  readonly timeline: VmTimeline;
  /** Resolves when the machine has ended, however; its helpers may still be ending. */
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

  /** What holds back a part of its memory; null: nothing does. */
  get balloon(): Balloon | null {
    return this.#parts.balloon;
  }

  /**
   * Connects to a vsock port of the guest.
   * @throws VmError `timeout`, `cancelled`, `protocol`; `crashed` when the machine has ended.
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
   * Waits up to `graceMs` for the guest to end by itself, then makes QEMU quit, then kills it; and
   * disposes everything. Returns how the machine ended.
   */
  async shutdown(graceMs: number): Promise<VmExit> {
    if (!await endsWithin(this.exited, graceMs)) {
      this.#parts.end.noteStop();
      await this.#parts.qmp.execute("quit", undefined, { timeoutMs: QUIT_TIMEOUT_MS }).catch(
        () => {}, // It is killed below.
      );
      await endsWithin(this.exited, QUIT_TIMEOUT_MS);
    }
    await this[Symbol.asyncDispose]();
    return await this.exited;
  }

  /** Kills what still runs and releases everything. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#parts.resources.disposeAsync();
    return this.#disposal;
  }
}

/** Watches the processes of a machine: when one of them ends, so does the machine. */
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

  /** From now on an end is wanted. */
  noteStop(): void {
    this.#stopping = true;
  }

  noteEvent({ name, data }: QmpEvent): void {
    const reason = data["reason"];
    if (name === "SHUTDOWN" && typeof reason === "string") this.#shutdownReason = reason;
  }

  /** Kills QEMU and waits for its end. */
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
    if (first !== null) {
      // virtiofsd ends by itself, with 0, when QEMU's end of the socket closes: then it is QEMU
      // that ended, and is about to be seen to.
      if (first.status.code !== 0) this.#qemu.kill();
      else await endsWithin(this.#qemu.exited, QUIT_TIMEOUT_MS);
      this.#qemu.kill();
    }
    const status = await this.#qemu.exited;
    await this.#console.ended();
    if (this.#stopping) return { kind: "stopped", message: "virtual machine was stopped" };
    if (first !== null && first.status.code !== 0) {
      const why = await first.helper.describeExit();
      return { kind: "crashed", message: `${why}, so the virtual machine was stopped` };
    }
    if (status.code === 0 && status.signal === null) {
      const reason = this.#shutdownReason ?? "guest-reset";
      const what = reason.startsWith("guest") ? "guest reset" : `qemu ended (${reason})`;
      return { kind: "reset", message: `${what}; ${this.#console.describe()}` };
    }
    return { kind: "crashed", message: await this.#qemu.describeExit() };
  }
}

/** How long the last bytes of the console may lag behind the end of QEMU. */
const CONSOLE_GRACE_MS = 200;
const CONSOLE_READ_BYTES = 16 * 1024;

/** Reads the guest's console as long as there is one, and notices when the guest is ready. */
export class GuestConsole {
  /** Resolves when the marker was seen; rejects when the console cannot be read before that. */
  readonly ready: Promise<void>;
  /** performance.now() of the first byte. */
  firstByteAt: number | null = null;
  readyAt: number | null = null;
  readonly #ready = Promise.withResolvers<void>();
  readonly #scanner: MarkerScanner;
  readonly #lastLine = new LastLine();
  readonly #sink: (chunk: Uint8Array) => void;
  #end: Promise<void> = Promise.resolve();

  constructor(marker: string, sink: (chunk: Uint8Array) => void) {
    this.#scanner = new MarkerScanner(marker);
    this.#sink = sink;
    this.ready = this.#ready.promise;
    this.ready.catch(() => {});
  }

  /** Starts to read a stream; disposing what it returns ends that. */
  read(stream: FdStream): AsyncDisposable {
    const end = this.#read(stream);
    this.#end = end;
    return {
      [Symbol.asyncDispose]: async () => {
        stream.close();
        await end;
      },
    };
  }

  /** Resolves when all has been read that QEMU wrote, given that it has ended. */
  async ended(): Promise<void> {
    await endsWithin(this.#end, CONSOLE_GRACE_MS);
  }

  /** "last console line: …". */
  describe(): string {
    const line = this.#lastLine.text;
    return line === "" ? "nothing came on its console" : `last console line: ${line}`;
  }

  async #read(stream: FdStream): Promise<void> {
    const chunk = new Uint8Array(CONSOLE_READ_BYTES);
    try {
      for (;;) {
        const count = await stream.read(chunk);
        if (count === null) return;
        this.#take(chunk.subarray(0, count));
      }
    } catch (error) {
      // At its end the guest cannot become ready any more, but that end of QEMU is seen elsewhere.
      this.#ready.reject(
        new VmError("boot", `console of the guest cannot be read: ${messageOf(error)}`, {
          cause: error,
        }),
      );
    }
  }

  #take(bytes: Uint8Array): void {
    this.firstByteAt ??= performance.now();
    this.#lastLine.push(bytes);
    if (this.readyAt === null && this.#scanner.push(bytes)) {
      this.readyAt = performance.now();
      this.#ready.resolve();
    }
    this.#sink(bytes);
  }
}
