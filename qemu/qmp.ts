import { messageOf, withDeadline } from "../base/mod.ts";
import { vmDeadline, VmError } from "./error.ts";
import { QmpDecoder, type QmpEvent, type QmpMessage } from "./qmp_decoder.ts";

/** Default timeout. An answer takes microseconds; this is for a very busy host. */
const QMP_TIMEOUT_MS = 10_000;
const READ_BYTES = 16 * 1024;

/** Client of QEMU's monitor protocol over a stream, which it owns. */
export class QmpClient implements AsyncDisposable {
  /** QEMU's version, from its greeting. */
  readonly version: string;
  /** Resolves when the connection is closed, so that no answer can come. Never rejects. */
  readonly closed: Promise<void>;
  readonly #connection: Connection;
  readonly #timeoutMs: number;

  private constructor(connection: Connection, version: string, timeoutMs: number) {
    this.#connection = connection;
    this.version = version;
    this.closed = connection.closed;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Waits for the greeting and leaves negotiation mode. Closes the stream if that fails.
   *
   * @throws VmError `protocol`, `timeout`, `cancelled`.
   */
  static async connect(stream: QmpStream, options: QmpOptions = {}): Promise<QmpClient> {
    const timeoutMs = options.timeoutMs ?? QMP_TIMEOUT_MS;
    const connection = new Connection(stream, options.onEvent ?? (() => {}));
    try {
      const version = await withDeadline({
        timeoutMs,
        signal: options.signal,
        ...vmDeadline(() => `qemu did not greet on its QMP socket within ${timeoutMs} ms`),
      }, () => connection.greeting);
      const client = new QmpClient(connection, version, timeoutMs);
      await client.execute("qmp_capabilities", undefined, options);
      return client;
    } catch (error) {
      connection.close("it could not be set up");
      throw error;
    }
  }

  /**
   * Runs a command and returns QEMU's answer.
   *
   * @throws VmError `protocol` if QEMU refuses it or the connection is lost; `timeout`;
   *   `cancelled`.
   */
  async execute(
    command: string,
    args?: Record<string, unknown>,
    options: { signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<unknown> {
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
    const call = this.#connection.start(command, args);
    try {
      return await withDeadline({
        timeoutMs,
        signal: options.signal,
        ...vmDeadline(() => `qemu did not answer QMP command ${command} within ${timeoutMs} ms`),
      }, () => call.answer);
    } finally {
      call.forget();
    }
  }

  /** Closes the stream; pending commands are rejected. */
  close(): void {
    this.#connection.close("it was closed");
  }

  /** Closes the stream and waits until nothing reads it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }
}

/** The part of a stream that QMP uses; FdStream has it. */
export interface QmpStream {
  read(into: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<void>;
  close(): void;
}

/** Options of `QmpClient.connect`. */
export interface QmpOptions {
  readonly signal?: AbortSignal;
  /** Timeout of the greeting, and of each command without one of its own. */
  readonly timeoutMs?: number;
  readonly onEvent?: (event: QmpEvent) => void;
}

/** The read loop and the commands in flight. */
class Connection {
  readonly greeting: Promise<string>;
  readonly closed: Promise<void>;
  readonly #greeting = Promise.withResolvers<string>();
  readonly #pending = new Map<number, Pending>();
  readonly #stream: QmpStream;
  readonly #onEvent: (event: QmpEvent) => void;
  #nextId = 1;
  #lost: VmError | null = null;

  constructor(stream: QmpStream, onEvent: (event: QmpEvent) => void) {
    this.#stream = stream;
    this.#onEvent = onEvent;
    this.greeting = this.#greeting.promise;
    this.greeting.catch(() => {});
    this.closed = this.#readLoop();
  }

  /** Sends a command. `forget` drops its answer, if that comes later. */
  start(command: string, args?: Record<string, unknown>): {
    answer: Promise<unknown>;
    forget: () => void;
  } {
    if (this.#lost !== null) return { answer: Promise.reject(this.#lost), forget: () => {} };
    const id = this.#nextId++;
    const answer = Promise.withResolvers<unknown>();
    this.#pending.set(id, { command, answer });
    const line = JSON.stringify({ execute: command, arguments: args, id }) + "\n";
    this.#stream.write(new TextEncoder().encode(line)).catch((error) =>
      this.close(messageOf(error), error)
    );
    return { answer: answer.promise, forget: () => this.#pending.delete(id) };
  }

  /** Closes the stream and rejects everything that is pending, with `why` in the message. */
  close(why: string, cause?: unknown): void {
    if (this.#lost !== null) return;
    this.#lost = new VmError("protocol", `QMP connection to qemu ended: ${why}`, { cause });
    this.#greeting.reject(this.#lost);
    for (const { answer } of this.#pending.values()) answer.reject(this.#lost);
    this.#pending.clear();
    this.#stream.close();
  }

  async #readLoop(): Promise<void> {
    const decoder = new QmpDecoder();
    const chunk = new Uint8Array(READ_BYTES);
    try {
      for (;;) {
        const count = await this.#stream.read(chunk);
        if (count === null) return this.close("qemu closed it");
        for (const message of decoder.push(chunk.subarray(0, count))) this.#take(message);
      }
    } catch (error) {
      this.close(messageOf(error), error);
    }
  }

  #take(message: QmpMessage): void {
    switch (message.kind) {
      case "greeting":
        return this.#greeting.resolve(message.version);
      case "event":
        return this.#onEvent(message);
      case "return":
        // An unknown id is the answer to a command that nothing waits for any more.
        return this.#pending.get(message.id)?.answer.resolve(message.value);
      case "error":
        return this.#refuse(message);
    }
  }

  #refuse(message: QmpMessage & { kind: "error" }): void {
    if (message.id === null) return this.close(`${message.class}: ${message.description}`);
    const pending = this.#pending.get(message.id);
    pending?.answer.reject(
      new VmError(
        "protocol",
        `qemu refused QMP command ${pending.command}: ${message.description} (${message.class})`,
      ),
    );
  }
}

interface Pending {
  readonly command: string;
  readonly answer: PromiseWithResolvers<unknown>;
}
