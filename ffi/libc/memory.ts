import { lazyLibrary } from "./library.ts";

/** malloc.h */
export const memory = lazyLibrary({
  // int malloc_trim(size_t)
  malloc_trim: { parameters: ["usize"], result: "i32" },
});
