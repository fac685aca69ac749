/** The moments of a container's start that the log tells about, in the order they are expected. */
export const MOMENTS = [
  "start",
  "vm spawned",
  "kernel up",
  "vminitd ready",
  "crun created",
  "started",
  "first output byte",
] as const;
export type Moment = (typeof MOMENTS)[number];

/** Collects when each moment was; the first report of a moment counts. */
export class Timeline {
  readonly #at = new Map<Moment, number>();
  readonly #now: () => number;
  readonly #onComplete: (line: string) => void;
  #told = false;

  /**
   * @param onComplete hears the line once, when every moment has come or `end` is called.
   * @param now a monotonic clock in milliseconds.
   */
  constructor(onComplete: (line: string) => void, now: () => number = () => performance.now()) {
    this.#onComplete = onComplete;
    this.#now = now;
  }

  /** @param at when it was, by the same clock; now when it is left out. */
  mark(moment: Moment, at: number = this.#now()): void {
    if (!this.#at.has(moment)) this.#at.set(moment, at);
    // Not the last one alone: the first byte may overtake the answer of Start.
    if (this.#at.size === MOMENTS.length) this.end();
  }

  /** Nothing more will come: a container without output has no first byte. */
  end(): void {
    if (this.#told) return;
    this.#told = true;
    this.#onComplete(this.describe());
  }

  /** One line: each known moment with the milliseconds since `start`. */
  describe(): string {
    const origin = this.#at.get("start") ?? 0;
    const parts = MOMENTS.flatMap((moment) => {
      const at = this.#at.get(moment);
      return at === undefined ? [] : [`${moment} ${Math.round(at - origin)}`];
    });
    return `boot timeline (ms): ${parts.join(", ")}`;
  }
}
