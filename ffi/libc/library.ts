import { loadErrno } from "./errno.ts";

type Symbols<S extends Deno.ForeignLibraryInterface> = Deno.DynamicLibrary<S>["symbols"];

/** Tests are programs whose main module is a test file. */
const underTest = /[._]test\.ts$/.test(Deno.mainModule);

/**
 * A table of libc functions, each of which is looked up on its first use: that costs 0.13 ms, and a
 * program needs few of them.
 *
 * Under `deno test` all are looked up at once, because Deno's leak check takes a library that is first
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
    return opened = underTest ? Deno.dlopen("libc.so.6", symbols).symbols : lazySymbols(symbols);
  };
  if (underTest) open();
  return () => opened ?? open();
}

/** Properties that turn into their functions when they are first read. */
function lazySymbols<const S extends Deno.ForeignLibraryInterface>(symbols: S): Symbols<S> {
  const table = {};
  for (const [name, symbol] of Object.entries(symbols)) {
    Object.defineProperty(table, name, {
      configurable: true,
      get() {
        const value = Deno.dlopen("libc.so.6", { [name]: symbol }).symbols[name];
        Object.defineProperty(table, name, { value });
        return value;
      },
    });
  }
  return table as Symbols<S>;
}
