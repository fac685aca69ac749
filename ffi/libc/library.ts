import { loadErrno } from "./errno.ts";

type Symbols<S extends Deno.ForeignLibraryInterface> = Deno.DynamicLibrary<S>["symbols"];

/** Tests are programs whose main module is a test file. */
const underTest = /[._]test\.ts$/.test(Deno.mainModule);

/**
 * A table of libc functions that is opened on its first use: a symbol costs 0.13 ms, and most
 * programs need few of the tables.
 *
 * Under `deno test` it is opened at once, because Deno's leak check takes a library that is first
 * used inside of a test for one that the test forgot to close.
 *
 * @throws {TypeError} at the first use, when libc has no such function.
 */
export function lazyLibrary<const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
): () => Symbols<S> {
  let opened: Symbols<S> | undefined;
  const open = (): Symbols<S> => {
    loadErrno();
    return opened = Deno.dlopen("libc.so.6", symbols).symbols;
  };
  if (underTest) open();
  return () => opened ?? open();
}
