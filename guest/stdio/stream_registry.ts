import { after, quoted } from "../../base/mod.ts";
import { acceptStream, type ByteStream, Code, RpcError } from "../../proto/mod.ts";

/** Limit for a connection to send its stream id. */
const PREAMBLE_TIMEOUT_MS = 10_000;
/** How long a dial of an unknown stream waits for it to be added. */
const ANNOUNCE_TIMEOUT_MS = 2_000;

/**
 * The byte streams that the host may dial. Each takes one connection.
 *
 * The host dials a process's streams while it asks for the process on another connection: a dial
 * that overtakes that call waits for it.
 */
export class StreamRegistry {
  readonly #entries = new Map<string, Entry>();
  /** Called whenever a stream is added. */
  readonly #waiting = new Set<() => void>();
  readonly #announceTimeoutMs: number;

  constructor(announceTimeoutMs: number = ANNOUNCE_TIMEOUT_MS) {
    this.#announceTimeoutMs = announceTimeoutMs;
  }

  /**
   * Lets the host dial `id` until the result is disposed.
   *
   * @throws {RpcError} AlreadyExists
   */
  add(id: string, handler: StreamHandler): Disposable {
    if (this.#entries.has(id)) {
      throw new RpcError(Code.AlreadyExists, `stream ${quoted(id)} already exists`);
    }
    const entry: Entry = { handler, taken: false };
    this.#entries.set(id, entry);
    for (const wake of [...this.#waiting]) wake();
    return {
      [Symbol.dispose]: () => {
        if (this.#entries.get(id) === entry) this.#entries.delete(id);
      },
    };
  }

  /** Serves one connection from its first byte to its last. Rejects if it breaks. */
  async serve(connection: ByteStream): Promise<void> {
    let claimed: Entry | null = null;
    const claim = async (id: string): Promise<boolean | string> => {
      const entry = this.#entries.get(id) ?? await this.#announced(id);
      if (entry === undefined) return `no such stream ${quoted(id)}`;
      if (entry.taken) return `stream ${quoted(id)} is connected already`;
      entry.taken = true;
      claimed = entry;
      return true;
    };
    const id = await this.#accept(connection, claim);
    if (id === null) return release(claimed); // the host got no answer: it may dial again
    await handlerOf(claimed)(connection);
  }

  async #accept(
    connection: ByteStream,
    claim: (id: string) => Promise<boolean | string>,
  ): Promise<string | null> {
    using _timer = after(PREAMBLE_TIMEOUT_MS, () => connection.close());
    return await acceptStream(connection, claim);
  }

  /** Resolves when a stream is added, or with undefined at the deadline. */
  async #announced(id: string): Promise<Entry | undefined> {
    const { promise, resolve } = Promise.withResolvers<Entry | undefined>();
    const look = (): void => {
      const entry = this.#entries.get(id);
      if (entry !== undefined) resolve(entry);
    };
    using undo = new DisposableStack();
    undo.use(after(this.#announceTimeoutMs, () => resolve(undefined)));
    undo.defer(() => this.#waiting.delete(look));
    this.#waiting.add(look);
    return await promise;
  }
}

/** Takes over an accepted connection until the stream ends, and closes it. */
export type StreamHandler = (connection: ByteStream) => Promise<void>;

interface Entry {
  readonly handler: StreamHandler;
  taken: boolean;
}

// The compiler does not see the assignment in `claim`.
function release(entry: Entry | null): void {
  if (entry !== null) entry.taken = false;
}

function handlerOf(entry: Entry | null): StreamHandler {
  if (entry === null) throw new Error("accepted stream was not claimed");
  return entry.handler;
}
