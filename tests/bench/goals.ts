import type { Machine, Unit } from "./result.ts";

/** A row that is the quotient of two others. */
export interface Ratio {
  readonly name: string;
  readonly above: string;
  readonly below: string;
}

/** Ratios of one run say more than times, since the machine's speed is in both. */
export const RATIOS: readonly Ratio[] = [
  ["boot", "floor"],
  ["boot-cpu", "floor-cpu"],
  ["bare-deno", "floor"],
  ["boot", "bare-deno"],
  ["first-byte", "floor"],
  ["delete", "floor"],
  ["shim-start", "bare-start"],
  ["ctr-first-byte", "floor"],
  ["ctr-delete", "floor"],
  ["pod-first-byte", "ctr-first-byte"],
  ["exec", "crun-exec"],
  ["exec-run", "crun-exec"],
  ["socat", "stdout"],
  ["netns-out", "net-out"],
  ["netns-in", "net-in"],
  ["netns-out", "net-out-no-vhost"],
  ["netns-in", "net-in-no-vhost"],
  ["first-byte-disk", "first-byte-tmpfs"],
  ["write-disk", "write-host"],
  ["write-disk", "write-tmpfs"],
  ["read-layer-cold", "read-host-cold"],
  ["read-layer-warm", "read-host-warm"],
  ["read-layer-file-cold", "read-host-cold"],
  ["read-layer-file-warm", "read-host-warm"],
  ["read-volume-cold", "read-host-cold"],
  ["read-volume-warm", "read-host-warm"],
  ["walk-layer-cold", "walk-host-warm"],
  ["walk-layer-warm", "walk-host-warm"],
  ["walk-layer-file-cold", "walk-host-warm"],
  ["walk-layer-file-warm", "walk-host-warm"],
  ["walk-volume-cold", "walk-host-warm"],
  ["walk-volume-warm", "walk-host-warm"],
].map(([above, below]) => ({ name: `${above}/${below}`, above: above!, below: below! }));

interface Goal {
  readonly row: string;
  /** Upper limit of the median. */
  readonly most: number;
  readonly unit: Unit;
  /** Where the goal holds; everywhere by default. */
  readonly accelerator?: Machine["accelerator"];
}

/**
 * Goals of rows. Times under TCG are nearly all translation and emulation, so their goals are
 * ratios to the floor of the same run. QEMU's memory holds TCG's translation buffer.
 */
export const GOALS: readonly Goal[] = [
  { row: "boot/floor", most: 2.0, unit: "ratio", accelerator: "tcg" },
  { row: "first-byte/floor", most: 2.8, unit: "ratio", accelerator: "tcg" },
  { row: "delete/floor", most: 0.15, unit: "ratio", accelerator: "tcg" },
  { row: "shim-start/bare-start", most: 3, unit: "ratio", accelerator: "tcg" },
  { row: "exec/crun-exec", most: 1.5, unit: "ratio" },
  // stdout must be at least 0.7 times as fast.
  { row: "socat/stdout", most: 1.43, unit: "ratio" },
  { row: "memory-private-per-vm", most: 40, unit: "MiB", accelerator: "kvm" },
  { row: "guest-memory-used", most: 80, unit: "MiB" },
  { row: "instructions/ready", most: 310, unit: "M" },
  { row: "instructions/kernel-to-init", most: 80, unit: "M" },
];

/** Returns the goal of a row on this machine, or null if it has none. */
export function goalOf(row: string, { accelerator }: Pick<Machine, "accelerator">): number | null {
  const goal = GOALS.find((one) =>
    one.row === row && (one.accelerator === undefined || one.accelerator === accelerator)
  );
  return goal?.most ?? null;
}
