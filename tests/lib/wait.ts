/** Waiting for what has no event to wait for, and for what may never come. */

const POLL_MS = 2;
/**
 * In the lab everything is emulated, and its virtual machines run on what is emulated: many times slower
 * than anything else, and waiting longer costs nothing but a late failure.
 */
const LAB_SLOWNESS = 30;
/** What has not come by then hangs, also there; it shall not use up the time of all other tests. */
const LAB_LONGEST_MS = 600_000;

/** How long to wait here for what takes at most `ms` on a machine of its own. */
export function patience(ms: number): number {
  if (Deno.env.get("QEMUBOX_LAB") !== "1") return ms;
  return Math.max(ms, Math.min(ms * LAB_SLOWNESS, LAB_LONGEST_MS));
}

/** Looks every few milliseconds until there is something. @throws Error that says what did not come. */
export async function until<T>(
  what: string,
  withinMs: number,
  look: () => T | null | Promise<T | null>,
): Promise<T> {
  const giveUpAt = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
    if (performance.now() > giveUpAt) throw new Error(`${what}: not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Passes a promise on. @throws Error when it takes too long. */
export async function within<T>(what: string, timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
