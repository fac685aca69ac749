import { memory as libc } from "../libc/memory.ts";
import type { System } from "../system.ts";

/** The part of {@link System} that concerns this process's memory. */
export const memoryCalls = {
  trimHeap() {
    libc().malloc_trim(0n);
  },
} satisfies Partial<System>;
