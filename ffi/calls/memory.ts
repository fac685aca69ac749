import { memory as libc } from "../libc/memory.ts";
import type { System } from "../system.ts";

/** Memory calls of {@link System}. */
export const memoryCalls = {
  trimHeap() {
    libc().malloc_trim(0n);
  },
} satisfies Partial<System>;
