/** The parts of a boot, in their order; together they are the boot, but for the first call. */
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

/** What each part is, for the legend of a picture. */
export const PART_TITLES: Readonly<Record<Part, string>> = {
  "boot-qemu": "QEMU, firmware",
  "boot-kernel": "kernel",
  "boot-stage0": "stage 0",
  "boot-deno": "Deno's start",
  "boot-modules": "V8 and modules",
  "boot-vminitd": "vminitd",
  "boot-first-rpc": "first RPC",
};

/** What is known of one boot. Milliseconds since the exec of QEMU, unless it says otherwise. */
export interface BootTimes {
  /** Stage 0's first line came: the kernel is up. */
  readonly kernelUpMs: number;
  /** Stage 0's last line came, just before it makes room for vminitd. */
  readonly stage0Ms: number;
  readonly readyMs: number;
  /** From ready until the first call was answered. */
  readonly firstRpcMs: number;
  /** What vminitd noted, by the guest's clock, which begins with its kernel. */
  readonly guest: readonly { readonly name: string; readonly bootMs: number }[];
}

/**
 * Joins the host's half of a boot to the guest's. The two clocks meet where the guest says that it is
 * ready: the last point of its timeline is the line that the host then sees.
 * @throws Error when the guest's timeline lacks a point.
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
