import { loadErrno } from "./errno.ts";
import { functionsOf } from "./functions.ts";

/** Tests are programs whose main module is a test file. */
const underTest = Deno.mainModule.endsWith("_test.ts");

/**
 * A table of libc functions, which is looked up on its first use.
 *
 * Under `deno test` it is looked up at once, because Deno's leak check takes a library that is first
 * used inside of a test for one that the test forgot to close.
 *
 * @throws {TypeError} at its first use, when libc has no such function.
 */
export function lazyLibrary<const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
): () => Deno.DynamicLibrary<S>["symbols"] {
  let opened: Deno.DynamicLibrary<S>["symbols"] | undefined;
  const open = () => {
    loadErrno();
    return opened = functionsOf(symbols);
  };
  if (underTest) open();
  return () => opened ?? open();
}
