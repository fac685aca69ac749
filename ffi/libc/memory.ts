import { lazyLibrary } from "./library.ts";

/** malloc.h */
export const memory = lazyLibrary({
  malloc_trim: { parameters: ["usize"], result: "i32" }, // int malloc_trim(size_t)
});
