import { acceptStream, type ByteStream, Code, RpcError } from "../../proto/mod.ts";
import { quoted } from "../base/ids.ts";

/** How long a connection may take to say which stream it wants. */
const PREAMBLE_TIMEOUT_MS = 10_000;
/** How long one is kept waiting that wants a stream which there is not yet. */
const ANNOUNCE_TIMEOUT_MS = 2_000;

/** Takes over an accepted connection, until the stream has ended. Closes the connection. */
export type StreamHandler = (connection: ByteStream) => Promise<void>;

interface Entry {
  readonly handler: StreamHandler;
  taken: boolean;
}

/**
 * The byte streams that the host may dial. Each is there for one connection.
 *
 * The host dials a process's streams in the same breath in which it asks for the process, on another
 * connection: a dial that overtakes that call waits for it.
 */
export class StreamRegistry {
  readonly #entries = new Map<string, Entry>();
  /** Woken whenever a stream is added. */
  readonly #waiting = new Set<() => void>();
  readonly #announceTimeoutMs: number;

  constructor(announceTimeoutMs: number = ANNOUNCE_TIMEOUT_MS) {
    this.#announceTimeoutMs = announceTimeoutMs;
  }

  /**
   * Lets the host dial `id`, until the result is disposed.
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

  /** Serves one connection from its first byte to its last. Rejects when it breaks. */
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
    const deadline = setTimeout(() => connection.close(), PREAMBLE_TIMEOUT_MS);
    let id: string | null;
    try {
      id = await acceptStream(connection, claim);
    } finally {
      clearTimeout(deadline);
    }
    if (id === null) return release(claimed); // the host never heard of it: it may dial again
    await handlerOf(claimed)(connection);
  }

  /** Waits for a stream to be added; undefined when it was not, in its time. */
  async #announced(id: string): Promise<Entry | undefined> {
    const { promise, resolve } = Promise.withResolvers<Entry | undefined>();
    const look = (): void => {
      const entry = this.#entries.get(id);
      if (entry !== undefined) resolve(entry);
    };
    const timer = setTimeout(() => resolve(undefined), this.#announceTimeoutMs);
    this.#waiting.add(look);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }
}

// The compiler does not see that `claim` assigns.
function release(entry: Entry | null): void {
  if (entry !== null) entry.taken = false;
}

function handlerOf(entry: Entry | null): StreamHandler {
  if (entry === null) throw new Error("a stream was accepted that nobody claimed");
  return entry.handler;
}
