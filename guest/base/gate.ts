import { after, delay, describeError } from "../../base/mod.ts";
import { type ByteStream, challengePeer, type GuestSecret } from "../../proto/mod.ts";
import type { Console } from "./console.ts";

/** Time that a peer has for its answer, in milliseconds. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Delay from a wrong answer to the close of its connection, in milliseconds. */
const REFUSAL_DELAY_MS = 1_000;
/** Limit of connections without an answer. The shim opens at most 33 at once. */
const PENDING_MAX = 64;

/**
 * Lets those connections of a port through whose peer has the secret of this guest's shim.
 *
 * A program that connects without it costs the guest a connection for a few seconds. Beyond
 * PENDING_MAX the oldest is closed, and not the newest: the shim answers at once. A wrong answer
 * delays its own connection alone, for the same reason.
 */
export class Gate {
  readonly #options: Required<GateOptions>;
  /** Connections that have not answered, oldest first, and what closes them. */
  readonly #pending = new Set<() => void>();
  #refused = 0;

  constructor(options: GateOptions) {
    this.#options = {
      answerTimeoutMs: ANSWER_TIMEOUT_MS,
      refusalDelayMs: REFUSAL_DELAY_MS,
      pendingMax: PENDING_MAX,
      ...options,
    };
  }

  /** Number of connections that were refused. */
  get refused(): number {
    return this.#refused;
  }

  /** Whether the peer of a connection has the secret; else the connection is closed. */
  async admits(connection: ByteStream): Promise<boolean> {
    const { port, secret, answerTimeoutMs, refusalDelayMs, pendingMax } = this.#options;
    const givenUp = new AbortController();
    const giveUp = () => {
      connection.close();
      givenUp.abort();
    };
    this.#pending.add(giveUp);
    if (this.#pending.size > pendingMax) {
      const [oldest] = this.#pending;
      this.#pending.delete(oldest!);
      oldest!();
    }
    using _timer = after(answerTimeoutMs, giveUp);
    try {
      if (await challengePeer(connection, port, secret)) return true;
      this.#count("wrong or no answer to the challenge");
      await delay(refusalDelayMs, givenUp.signal);
    } catch (error) {
      this.#count(describeError(error));
    } finally {
      this.#pending.delete(giveUp);
    }
    connection.close();
    return false;
  }

  /** Logs the first, the tenth, the hundredth, …: a flood must not fill the console. */
  #count(why: string): void {
    const count = ++this.#refused;
    if (!/^10*$/.test(String(count))) return;
    const { name, console } = this.#options;
    console.log(`${name}: refused connection ${count} without the secret: ${why}`);
  }
}

/** Options of a {@link Gate}. */
export interface GateOptions {
  /** Name of the port, for the log. */
  readonly name: string;
  readonly port: number;
  readonly secret: Promise<GuestSecret>;
  readonly console: Pick<Console, "log">;
  readonly answerTimeoutMs?: number;
  readonly refusalDelayMs?: number;
  readonly pendingMax?: number;
}
