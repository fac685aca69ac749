/** The parts of a boot, in order. Without the first call they add up to the boot. */
export const PARTS = [
  "boot-qemu",
  "boot-kernel",
  "boot-stage0",
  "boot-deno",
  "boot-modules",
  "boot-vminitd",
  "boot-first-rpc",
] as const;
export type Part = (typeof PARTS)[number];

/** Titles of the parts in a picture's legend. */
export const PART_TITLES: Readonly<Record<Part, string>> = {
  "boot-qemu": "QEMU, firmware",
  "boot-kernel": "kernel",
  "boot-stage0": "stage 0",
  "boot-deno": "Deno's start",
  "boot-modules": "V8 and modules",
  "boot-vminitd": "vminitd",
  "boot-first-rpc": "first RPC",
};

/** Times of a boot, in milliseconds since the exec of QEMU unless stated otherwise. */
export interface BootTimes {
  /** First line of stage 0: the kernel is up. */
  readonly kernelUpMs: number;
  /** Last line of stage 0, just before it executes vminitd. */
  readonly stage0Ms: number;
  readonly readyMs: number;
  /** Time from ready to the answer of the first call. */
  readonly firstRpcMs: number;
  /** Points of vminitd's timeline, by the guest's clock, which starts with its kernel. */
  readonly guest: readonly { readonly name: string; readonly bootMs: number }[];
}

/**
 * Joins the host's times of a boot to the guest's. The two clocks meet where the guest is ready:
 * the last point of its timeline is the line that the host sees.
 *
 * @throws {Error} if the guest's timeline lacks a point.
 */
export function bootParts(times: BootTimes): Record<Part, number> {
  const { kernelUpMs, stage0Ms, readyMs, firstRpcMs } = times;
  const point = (name: string): number => {
    const found = times.guest.find((one) => one.name === name);
    if (found === undefined) throw new Error(`the guest's timeline has no point "${name}"`);
    return found.bootMs;
  };
  const kernelMs = readyMs - point("listening");
  const startedMs = kernelMs + point("vminitd started");
  const mainMs = kernelMs + point("main");
  return {
    "boot-qemu": kernelMs,
    "boot-kernel": kernelUpMs - kernelMs,
    "boot-stage0": stage0Ms - kernelUpMs,
    "boot-deno": startedMs - stage0Ms,
    "boot-modules": mainMs - startedMs,
    "boot-vminitd": readyMs - mainMs,
    "boot-first-rpc": firstRpcMs,
  };
}
