/** Collects the time of each moment. The first report of a moment counts. */
export class Timeline {
  readonly #at = new Map<Moment, number>();
  readonly #now: () => number;
  readonly #onComplete: (line: string) => void;
  #isReported = false;

  /**
   * @param onComplete receives the line once, when every moment was marked or `end` is called.
   * @param now monotonic clock in milliseconds.
   */
  constructor(onComplete: (line: string) => void, now: () => number = () => performance.now()) {
    this.#onComplete = onComplete;
    this.#now = now;
  }

  /** @param at time of the moment by the same clock; now by default. */
  mark(moment: Moment, at: number = this.#now()): void {
    if (!this.#at.has(moment)) this.#at.set(moment, at);
    // The last moment is not enough: the first byte may overtake the answer of Start.
    if (this.#at.size === MOMENTS.length) this.end();
  }

  /** Reports without the missing moments: a container without output has no first byte. */
  end(): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#onComplete(this.describe());
  }

  /** Returns one line with the milliseconds from `start` to each known moment. */
  describe(): string {
    const origin = this.#at.get("start") ?? 0;
    const parts = MOMENTS.flatMap((moment) => {
      const at = this.#at.get(moment);
      return at === undefined ? [] : [`${moment} ${Math.round(at - origin)}`];
    });
    return `boot timeline (ms): ${parts.join(", ")}`;
  }
}

/** Moments of a container's start that are logged, in their expected order. */
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
