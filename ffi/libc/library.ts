import { loadErrno } from "./errno.ts";
import { functionsOf } from "./functions.ts";

/**
 * A table of libc functions, each of which is looked up on its first use.
 *
 * @throws {TypeError} at the first use, when libc has no such function.
 */
export function lazyLibrary<const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
): () => Deno.DynamicLibrary<S>["symbols"] {
  let table: Deno.DynamicLibrary<S>["symbols"] | undefined;
  return () => {
    if (table !== undefined) return table;
    loadErrno();
    return table = functionsOf(symbols);
  };
}
