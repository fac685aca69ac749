/** Runs a target on inputs that once failed, on its seeds, and on mutations of them. */

import assert from "node:assert/strict";
import process from "node:process";
import { describeError, MIB } from "../../base/mod.ts";
import { Corpus } from "./corpus.ts";
import { minimal } from "./minimal.ts";
import { mutated } from "./mutator.ts";
import { Random } from "./random.ts";
import { BYTES_MAX, type Target, utf8 } from "./target.ts";

/** How long to look for a failure. */
export interface Budget {
  readonly inputs: number;
  readonly milliseconds: number;
  readonly seed: number;
}

/** What a campaign did. */
export interface Tally {
  readonly inputs: number;
  /** Different results of the parser. */
  readonly outcomes: number;
}

/**
 * Limits of one input: far above what it takes, so that a busy machine stays below, and far below
 * what a quadratic parser takes for a long input.
 */
const INPUT_MS_MAX = 2_000;
const INPUT_MS_MAX_PER_MIB = 8_000;
/** Longest wait for what an input began: a stream that ended must end everything. */
const SETTLES_WITHIN_MS = 30_000;
/** Growth of this process over a campaign: none of the parsers keeps anything. */
const GROWTH_BYTES_MAX = 512 * MIB;
/** Inputs with new results that are mutated further: short ones, since thousands of them run. */
const POOL_MAX = 1_000;
const POOL_BYTES_MAX = 4096;
/** Results that are told apart: some repeat text of the input. */
const OUTCOMES_MAX = 20_000;

/**
 * Runs a campaign. A failing input is made shorter and kept in the corpus.
 *
 * @throws {Error} that names the file with the input, the seed, and what is wrong.
 */
export async function campaign(
  target: Target,
  { inputs, milliseconds, seed }: Budget,
  corpus: Corpus = new Corpus(target.name),
): Promise<Tally> {
  using trial = new Trial(target);
  for (const { path, bytes } of corpus.read()) {
    const failure = await trial.failureOf(bytes);
    if (failure !== null) throw new Error(`${path} fails again: ${failure}`);
  }
  const random = new Random(seed);
  const pool = [...target.seeds];
  const material = {
    pool,
    words: (target.words ?? []).map(utf8),
    bytesMax: target.bytesMax ?? BYTES_MAX,
  };
  const started = performance.now();
  const rss = Deno.memoryUsage().rss;
  let done = 0;
  for (; done < inputs && performance.now() - started < milliseconds; done++) {
    const bytes = target.seeds[done] ?? mutated(random, material);
    const before = trial.outcomes;
    const failure = await trial.failureOf(bytes);
    if (failure !== null) {
      const least = await minimal(bytes, (shorter) => trial.failureOf(shorter));
      const path = corpus.keep(least);
      throw new Error(`${failure}\ninput ${done} of seed ${seed} kept in ${path}`);
    }
    if (trial.outcomes > before && done >= target.seeds.length && bytes.length <= POOL_BYTES_MAX) {
      if (pool.length < POOL_MAX) pool.push(bytes);
      else pool[target.seeds.length + random.below(POOL_MAX - target.seeds.length)] = bytes;
    }
  }
  const grown = Deno.memoryUsage().rss - rss;
  assert(grown < GROWTH_BYTES_MAX, `grew by ${grown} bytes over ${done} inputs`);
  return { inputs: done, outcomes: trial.outcomes };
}

/** Feeds inputs to a target and judges what comes of it. */
class Trial implements Disposable {
  readonly #target: Target;
  readonly #outcomes = new Set<string>();
  /** What a parser rejected or threw where nobody waited for it. */
  #stray: unknown = null;
  #settlesBy = Infinity;
  #giveUp: (error: Error) => void = () => {};
  readonly #timer: number;

  constructor(target: Target) {
    this.#target = target;
    globalThis.addEventListener("unhandledrejection", this.#onStray);
    this.#timer = setInterval(() => {
      if (performance.now() > this.#settlesBy) this.#giveUp(new Error("never settles"));
    }, 1_000);
  }

  /** Number of different results so far. */
  get outcomes(): number {
    return this.#outcomes.size;
  }

  /** Returns what is wrong with an input, or null. */
  async failureOf(bytes: Uint8Array): Promise<string | null> {
    const failure = await this.#parse(bytes);
    if (failure !== null) return failure;
    const limitMs = INPUT_MS_MAX + INPUT_MS_MAX_PER_MIB * bytes.length / MIB;
    for (let attempt = 0; this.#tookMs > limitMs; attempt++) {
      if (attempt === 3) return `takes more than ${limitMs} ms of CPU time`;
      // Anything may have delayed this process: CPU time is what counts then.
      const before = process.cpuUsage();
      await this.#parse(bytes);
      const { user, system } = process.cpuUsage(before);
      this.#tookMs = (user + system) / 1000;
    }
    return null;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    globalThis.removeEventListener("unhandledrejection", this.#onStray);
  }

  #tookMs = 0;

  async #parse(bytes: Uint8Array): Promise<string | null> {
    const copy = bytes.slice();
    const started = performance.now();
    let outcome: string;
    try {
      const result = this.#target.parse(copy);
      outcome = typeof result === "string" ? result : await this.#settled(result);
    } catch (error) {
      if (!this.#target.refuses(error)) return failureText(error);
      outcome = describeError(error);
    }
    this.#tookMs = performance.now() - started;
    if (this.#stray !== null) {
      const stray = this.#stray;
      this.#stray = null;
      return `rejected where nobody waits: ${failureText(stray)}`;
    }
    // Numbers and names out of the input make no new result.
    const kind = outcome.slice(0, 200).replaceAll(/\d+|".*"/g, "#");
    if (this.#outcomes.size < OUTCOMES_MAX) this.#outcomes.add(kind);
    return null;
  }

  async #settled<T>(result: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    this.#giveUp = late.reject;
    this.#settlesBy = performance.now() + SETTLES_WITHIN_MS;
    try {
      return await Promise.race([result, late.promise]);
    } finally {
      this.#settlesBy = Infinity;
    }
  }

  readonly #onStray = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    this.#stray = event.reason;
  };
}

/** Returns an error with its place in the code. */
function failureText(error: unknown): string {
  return error instanceof Error ? error.stack ?? String(error) : String(error);
}
