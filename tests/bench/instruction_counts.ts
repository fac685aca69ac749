/**
 * Reads the clocks of a boot that counts instructions; see instructions.ts. Pure.
 *
 * Until stage 0 ends, the count is the guest's time without waits for the disk (the kernel's
 * pressure stall information), also while stage 0 runs, whose commands are separate processes. From
 * its last command on, it is the CPU time of PID 1.
 */

/** Millions of guest instructions since the kernel's start. */
export interface InstructionCounts {
  /** Stage 0 runs: its shell has started, and has mounted a /proc to read this from. */
  readonly "kernel-to-init": number;
  /** Deno runs vminitd's first line: V8 is up, all modules are loaded. */
  readonly main: number;
  /** vminitd listens and prints the ready marker. */
  readonly ready: number;
  /** vminitd has made everything that its first call may need. */
  readonly serving: number;
}

export const COUNTS: readonly (keyof InstructionCounts)[] = [
  "kernel-to-init",
  "main",
  "ready",
  "serving",
];

/** Matches the last line of a boot. */
export const LAST_LINE = /^vminitd: .*since the kernel's start/m;

/**
 * Returns the counts on the console of a boot, in millions with two decimals.
 *
 * @throws {Error} if a clock is missing.
 */
export function countsIn(console: string): InstructionCounts {
  const init = stage0Clock(console, "init");
  const stage0 = stage0Clock(console, "stage0");
  const timeline = LAST_LINE.exec(console)?.[0] ?? "";
  const at = (point: string): number => {
    const found = new RegExp(`${point} [0-9.]+ \\(([0-9.]+)\\)`).exec(timeline);
    if (found === null) throw new Error(`no CPU time of "${point}" in: ${timeline}`);
    return millions(stage0.now - stage0.used + Number(found[1]) * 1e6);
  };
  return {
    "kernel-to-init": millions(init.now),
    main: at("main"),
    ready: at("listening"),
    serving: at("serving"),
  };
}

/** Returns the nanoseconds without waits, and how many of them PID 1 has used. */
function stage0Clock(
  console: string,
  name: string,
): { readonly now: number; readonly used: number } {
  const match = new RegExp(
    `^${name} clock now at (\\d+) nsecs processor (\\d+) waited full .*total=(\\d+)`,
    "m",
  ).exec(console);
  if (match === null) throw new Error(`stage 0 did not print its clocks: ${console.slice(-2000)}`);
  const [time, used, waitedUs] = match.slice(1).map(Number) as [number, number, number];
  return { now: time - waitedUs * 1000, used };
}

function millions(nanoseconds: number): number {
  return Math.round(nanoseconds / 1e4) / 100;
}
