import { TokenBucket } from "../../base/mod.ts";
import type { Logger } from "../base/log.ts";

/** Events of one kind that a guest may cause in any second. */
export const EVENTS_PER_SECOND_MAX = 10;
/** A burst and the rate that follows it may fall into the same second. */
const RATE = { perSecond: EVENTS_PER_SECOND_MAX / 2, burst: EVENTS_PER_SECOND_MAX / 2 };
/** Delay between two log lines about dropped events. Milliseconds. */
const REPORT_EVERY_MS = 60_000;

/** Limits the rate of one kind of event that a guest can cause. Counts and logs what it drops. */
export class EventRate {
  readonly #topic: string;
  readonly #log: Pick<Logger, "warn">;
  readonly #now: () => number;
  readonly #bucket: TokenBucket;
  #dropped = 0;
  #reportedAt = -Infinity;

  /** @param now monotonic time in milliseconds. */
  constructor(
    topic: string,
    log: Pick<Logger, "warn">,
    now: () => number = () => performance.now(),
  ) {
    this.#topic = topic;
    this.#log = log;
    this.#now = now;
    this.#bucket = new TokenBucket(RATE, now);
  }

  /** Returns whether one more event may be published now. */
  take(): boolean {
    const taken = this.#bucket.take();
    if (!taken) this.#dropped++;
    if (this.#dropped > 0 && this.#now() - this.#reportedAt >= REPORT_EVERY_MS) {
      this.#reportedAt = this.#now();
      const fields = { topic: this.#topic, dropped: this.#dropped };
      this.#log.warn(`guest causes more events than ${RATE.perSecond} a second`, fields);
      this.#dropped = 0;
    }
    return taken;
  }
}
