import { Code, RpcError } from "../../proto/mod.ts";

/** Limit of events that wait for a subscriber. */
export const EVENTS_MAX = 1_024;

/**
 * Events in order, for one subscriber at a time: the shim. Events without a subscriber, before the
 * first one or between two connections, wait for the next one.
 */
export class EventLog<E> {
  readonly #waiting: E[] = [];
  readonly #sleepers = new Set<() => void>();
  readonly #onDropped: (event: E) => void;
  #current: object | null = null;

  /** @param onDropped receives the oldest event if more than {@linkcode EVENTS_MAX} wait */
  constructor(onDropped: (event: E) => void) {
    this.#onDropped = onDropped;
  }

  publish(event: E): void {
    if (this.#waiting.length >= EVENTS_MAX) this.#onDropped(this.#waiting.shift() as E);
    this.#waiting.push(event);
    this.#wake();
  }

  /**
   * Yields events until `signal` aborts. An event counts as delivered when the next one is
   * requested, so that the next subscriber gets an event that a broken connection did not take.
   *
   * A second subscriber takes over from the first: it is the host with a new connection, whose old
   * one is not known to be dead yet.
   *
   * @throws {RpcError} Aborted: another subscriber took over
   */
  async *subscribe(signal: AbortSignal): AsyncGenerator<E, void, undefined> {
    const self = {};
    this.#current = self;
    const wake = (): void => this.#wake();
    signal.addEventListener("abort", wake);
    wake();
    try {
      for (;;) {
        if (signal.aborted) return;
        if (this.#current !== self) {
          throw new RpcError(Code.Aborted, "another subscriber took over the events");
        }
        const event = this.#waiting[0];
        if (event === undefined) {
          await new Promise<void>((resolve) => this.#sleepers.add(resolve));
          continue;
        }
        yield event;
        if (this.#current === self && this.#waiting[0] === event) this.#waiting.shift();
      }
    } finally {
      signal.removeEventListener("abort", wake);
      if (this.#current === self) this.#current = null;
    }
  }

  #wake(): void {
    const sleepers = [...this.#sleepers];
    this.#sleepers.clear();
    for (const resolve of sleepers) resolve();
  }
}
