import type { StdioAddresses } from "./process_name.ts";
import { type ByteStream, FrameReader, FrameWriter, waitForClose } from "../../proto/mod.ts";
import { InputPump } from "./input_pump.ts";
import type { Logger } from "../base/log.ts";
import { type OutputEnd, OutputPump } from "./output_pump.ts";
import { openOutputs } from "./open_outputs.ts";
import { findInput, type InputFifo } from "./stdio_target.ts";

/** Opens a stream of one process in the guest. */
export type OpenGuestStream = (kind: "stdin" | "stdout" | "stderr") => Promise<ByteStream>;

/** Where stdin comes from and goes to; copied from the start of the process on. */
interface Stdin {
  readonly fifo: InputFifo;
  readonly stream: ByteStream;
}

/** The stdio of one process: its streams in the guest, joined to what containerd named. */
export class ProcessIo implements AsyncDisposable {
  readonly #outputs: { readonly kind: string; readonly pump: OutputPump }[];
  readonly #endOutputs: () => Promise<void>;
  readonly #stdin: Stdin | null;
  readonly #log: Logger;
  #input: InputPump | null = null;
  #closeRequested = false;

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
   * @param environment what a logging program is told of the container.
   * @param onFirstByte called before the first byte of output is delivered.
   * @throws RpcError when an address or a stream cannot be opened; nothing stays open then.
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
   * Opens stdin and begins to copy it. Not before the process is started: a client's writing waits
   * for that, so it cannot come to its end, and want to call CloseIO, before it has the task to
   * call it on (ctr would then never call it).
   */
  start(): void {
    if (this.#stdin === null || this.#input !== null) return;
    const { fifo, stream } = this.#stdin;
    const frames = new FrameWriter(stream);
    const writer = {
      write: (chunk: Uint8Array) => frames.write(chunk),
      // The guest closes when it has taken everything; to close first could cut it off.
      end: () => frames.end().then(() => waitForClose(stream)),
    };
    this.#input = new InputPump(fifo.open(), writer, () => stream.close());
    fifo.close();
    void this.#input.ended.then((error) => {
      if (error !== null) this.#log.warn(`stdin: input is lost: ${error.message}`);
    });
    if (this.#closeRequested) this.#input.closeInput();
  }

  /** CloseIO. Harmless when there is no stdin, or when it was closed before. */
  closeStdin(): void {
    this.#closeRequested = true;
    this.#input?.closeInput();
  }

  /** The process has ended: delivers the rest of its output, within the bound, and ends stdin. */
  async drain(drainMs: number): Promise<void> {
    this.#endInput();
    await Promise.all(this.#outputs.map(async ({ kind, pump }) => {
      const end = await pump.drain(drainMs);
      const lost = describeLoss(end, drainMs);
      if (lost !== null) this.#log.warn(`${kind}: ${lost}`);
    }));
  }

  /**
   * Closes everything; output that was not drained is lost. Resolves when nothing of it is left, a
   * logging program included.
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

function describeLoss(end: OutputEnd, drainMs: number): string | null {
  switch (end.kind) {
    case "complete":
      return null;
    case "reader-gone":
      return `the reader is gone, output is lost: ${end.error.message}`;
    case "reader-stopped":
      return `the reader took nothing for ${drainMs} ms, output is lost`;
    case "cut-off":
      return `the guest's stream broke off: ${end.error.message}`;
  }
}

/** Waits for all; when one fails, the others are closed as they come. */
async function allOrNone(streams: Promise<ByteStream>[]): Promise<ByteStream[]> {
  try {
    return await Promise.all(streams);
  } catch (error) {
    for (const stream of streams) stream.then((one) => one.close(), () => {});
    throw error;
  }
}
