/**
 * Reads the clocks of a boot that counts instructions; see instructions.ts. Pure.
 *
 * Until stage 0 ends the guest's time is the count, less what was waited for the disk (the kernel's pressure
 * stall information), also while stage 0 runs, whose commands are processes of their own. From its last
 * command on it is the processor time of PID 1.
 */

/** Million guest instructions since the kernel's start. */
export interface InstructionCounts {
  /** Stage 0 runs: its shell is there, and has mounted a /proc to read this from. */
  readonly "kernel-to-init": number;
  /** Deno runs vminitd's first line: V8 is up, all modules are loaded. */
  readonly main: number;
  /** vminitd listens and says so. */
  readonly ready: number;
  /** vminitd has made all that its first call may need. */
  readonly serving: number;
}

export const COUNTS: readonly (keyof InstructionCounts)[] = [
  "kernel-to-init",
  "main",
  "ready",
  "serving",
];

/** The last line that a boot writes. */
export const LAST_LINE = /^vminitd: .*since the kernel's start/m;

/**
 * What the console of a boot says, in millions with two decimals.
 * @throws Error when a clock is missing.
 */
export function countsIn(console: string): InstructionCounts {
  const init = stage0Clock(console, "init");
  const stage0 = stage0Clock(console, "stage0");
  const timeline = LAST_LINE.exec(console)?.[0] ?? "";
  const at = (point: string): number => {
    const found = new RegExp(`${point} [0-9.]+ \\(([0-9.]+)\\)`).exec(timeline);
    if (found === null) throw new Error(`no processor time of "${point}" in: ${timeline}`);
    return millions(stage0.now - stage0.used + Number(found[1]) * 1e6);
  };
  return {
    "kernel-to-init": millions(init.now),
    main: at("main"),
    ready: at("listening"),
    serving: at("serving"),
  };
}

/** Nanoseconds without waits, and the part of them that PID 1 had used. */
function stage0Clock(
  console: string,
  name: string,
): { readonly now: number; readonly used: number } {
  const told = new RegExp(
    `^${name} clock now at (\\d+) nsecs processor (\\d+) waited full .*total=(\\d+)`,
    "m",
  ).exec(console);
  if (told === null) throw new Error(`stage 0 did not tell its clocks: ${console.slice(-2000)}`);
  const [time, used, waitedUs] = told.slice(1).map(Number) as [number, number, number];
  return { now: time - waitedUs * 1000, used };
}

function millions(nanoseconds: number): number {
  return Math.round(nanoseconds / 1e4) / 100;
}
