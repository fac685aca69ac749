import { type ByteStream, FrameReader, FrameWriter, waitForClose } from "../../proto/mod.ts";
import { InputPump } from "./input_pump.ts";
import type { Logger } from "../base/log.ts";
import { type OutputEnd, OutputPump } from "./output_pump.ts";
import { openOutputs } from "./open_outputs.ts";
import type { StdioAddresses } from "./process_name.ts";
import { findInput, type InputFifo } from "./stdio_target.ts";

/** Stdio of one process: its streams in the guest, joined to the addresses of containerd. */
export class ProcessIo implements AsyncDisposable {
  readonly #outputs: { readonly kind: string; readonly pump: OutputPump }[];
  readonly #endOutputs: () => Promise<void>;
  readonly #stdin: Stdin | null;
  readonly #log: Logger;
  #input: InputPump | null = null;
  #closeRequested = false;
  #isAbandoned = false;

  private constructor(
    outputs: { kind: string; pump: OutputPump }[],
    endOutputs: () => Promise<void>,
    stdin: Stdin | null,
    log: Logger,
  ) {
    this.#endOutputs = endOutputs;
    this.#outputs = outputs;
    this.#stdin = stdin;
    this.#log = log;
  }

  /**
   * Opens all streams and begins to copy output.
   *
   * @param environment variables of a logging program, which name the container.
   * @param onFirstByte called before the first byte of output is delivered.
   * @throws {RefusedError} if an address cannot be opened. Nothing stays open then.
   * @throws what `stream` throws. Nothing stays open then.
   */
  static async open(
    addresses: StdioAddresses,
    stream: OpenGuestStream,
    environment: Readonly<Record<string, string>>,
    log: Logger,
    onFirstByte: () => void,
  ): Promise<ProcessIo> {
    await using undo = new AsyncDisposableStack();
    const outputs = [];
    const { targets, end } = await openOutputs(addresses, environment);
    undo.defer(end);
    for (const { target } of targets) undo.use(target);
    const fifo = addresses.stdin === ""
      ? null
      : undo.adopt(findInput(addresses.stdin), (found) => found.close());
    const streams = await allOrNone([
      ...targets.map(({ kind }) => stream(kind)),
      ...(fifo === null ? [] : [stream("stdin")]),
    ]);
    undo.move();
    for (const [index, { kind, target }] of targets.entries()) {
      const from = streams[index]!;
      const pump = new OutputPump(new FrameReader(from), target, () => from.close(), onFirstByte);
      outputs.push({ kind, pump });
    }
    const stdin = fifo === null ? null : { fifo, stream: streams[targets.length]! };
    return new ProcessIo(outputs, end, stdin, log);
  }

  /**
   * Opens stdin and begins to copy it, when the process is started. Until then the client's write
   * blocks. So it cannot reach the end of its input, and call CloseIO, before it has the task to
   * call it on (ctr would then never call it).
   */
  start(): void {
    if (this.#stdin === null || this.#input !== null) return;
    const { fifo, stream } = this.#stdin;
    const frames = new FrameWriter(stream);
    const writer = {
      write: (chunk: Uint8Array) => frames.write(chunk),
      // The guest closes when it has read everything. Closing first could cut its input off.
      end: () => frames.end().then(() => waitForClose(stream)),
    };
    this.#input = new InputPump(fifo.open(), writer, () => stream.close());
    fifo.close();
    void this.#input.ended.then((error) => {
      if (error !== null) this.#log.warn(`input lost: ${error.message}`, { stream: "stdin" });
    });
    if (this.#closeRequested) this.#input.closeInput();
  }

  /** CloseIO. Harmless without stdin, or if it is closed already. */
  closeStdin(): void {
    this.#closeRequested = true;
    this.#input?.closeInput();
  }

  /**
   * Ends stdin and delivers the rest of the output, since the process has exited. Drops output
   * whose reader takes nothing for `drainMs`.
   */
  async drain(drainMs: number): Promise<void> {
    this.#endInput();
    await Promise.all(this.#outputs.map(async ({ kind, pump }) => {
      const end = await pump.drain(drainMs);
      const lost = describeLoss(end, this.#isAbandoned ? null : drainMs);
      if (lost !== null) this.#log.warn(lost, { stream: kind });
    }));
  }

  /** Drops output that was not delivered by now. A drain that waits for it goes on. */
  abandonOutput(): void {
    this.#isAbandoned = true;
    for (const { pump } of this.#outputs) pump.abandon();
  }

  /**
   * Closes everything and drops output that was not drained. Resolves when nothing is left, logging
   * programs included.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#endInput();
    for (const { pump } of this.#outputs) pump.abandon();
    await Promise.all(this.#outputs.map(({ pump }) => pump.ended));
    await this.#endOutputs();
  }

  #endInput(): void {
    if (this.#input !== null) return this.#input.stop();
    this.#stdin?.fifo.close();
    this.#stdin?.stream.close();
  }
}

/** Opens a stream of one process in the guest. */
export type OpenGuestStream = (kind: "stdin" | "stdout" | "stderr") => Promise<ByteStream>;

/** Both sides of stdin, which is copied from the start of the process on. */
interface Stdin {
  readonly fifo: InputFifo;
  readonly stream: ByteStream;
}

/** @param drainMs null: the output was abandoned. */
function describeLoss(end: OutputEnd, drainMs: number | null): string | null {
  switch (end.kind) {
    case "complete":
      return null;
    case "reader-gone":
      return `reader gone, output dropped: ${end.error.message}`;
    case "reader-stopped":
      if (drainMs === null) return "output not delivered in time after SIGKILL, dropped";
      return `reader took nothing for ${drainMs} ms, output dropped`;
    case "cut-off":
      return `guest's stream broke off: ${end.error.message}`;
  }
}

/** Waits for all streams. If one fails, closes the others as they open. */
async function allOrNone(streams: Promise<ByteStream>[]): Promise<ByteStream[]> {
  try {
    return await Promise.all(streams);
  } catch (error) {
    for (const stream of streams) stream.then((one) => one.close(), () => {});
    throw error;
  }
}
