/**
 * Reads the clocks of a boot that counts instructions; see instructions.ts. Pure.
 *
 * Until stage 0 the guest's time is the count, less what was waited for the disk (the kernel's pressure
 * stall information). From there on it is the processor time of PID 1.
 */

/** Million guest instructions since the kernel's start. */
export interface InstructionCounts {
  /** Stage 0 runs: the shell is there and has mounted /proc. */
  readonly "kernel-to-init": number;
  /** Deno runs vminitd's first line: V8 is up, all modules are loaded. */
  readonly main: number;
  /** vminitd listens and says so. */
  readonly ready: number;
}

export const COUNTS: readonly (keyof InstructionCounts)[] = ["kernel-to-init", "main", "ready"];

/** The last line that a boot writes. */
export const LAST_LINE = /^vminitd: .*since the kernel's start/m;

/**
 * What the console of a boot says, in millions with two decimals.
 * @throws Error when a clock is missing.
 */
export function countsIn(console: string): InstructionCounts {
  const stage0 = /^clock now at (\d+) nsecs processor (\d+) waited full .*total=(\d+)/m.exec(
    console,
  );
  if (stage0 === null) throw new Error(`stage 0 did not tell its clocks: ${console.slice(-2000)}`);
  const [time, used, waitedUs] = stage0.slice(1).map(Number) as [number, number, number];
  const now = time - waitedUs * 1000;
  const timeline = LAST_LINE.exec(console)?.[0] ?? "";
  const at = (point: string): number => {
    const found = new RegExp(`${point} [0-9.]+ \\(([0-9.]+)\\)`).exec(timeline);
    if (found === null) throw new Error(`no processor time of "${point}" in: ${timeline}`);
    return millions(now - used + Number(found[1]) * 1e6);
  };
  return { "kernel-to-init": millions(now), main: at("main"), ready: at("listening") };
}

function millions(nanoseconds: number): number {
  return Math.round(nanoseconds / 1e4) / 100;
}
