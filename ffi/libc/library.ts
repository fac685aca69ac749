import { loadErrno } from "./errno.ts";
import { functionsOf } from "./functions.ts";

/**
 * Returns a table of libc functions, each looked up on its first use.
 *
 * @throws {TypeError} at the first use, if libc has no such function.
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
