import { cString } from "./strings.ts";

/**
 * libc's functions, called by their address.
 *
 * A function that `Deno.dlopen` is told of gets machine code of its own, compiled then and there:
 * 0.13 ms each, 50 times as much in an emulated guest at its start, for calls that are a microsecond
 * faster. So it is told of one symbol, as data, which is only looked up: dlsym, by which all others are
 * found. `Deno.UnsafeFnPointer` calls them as they are.
 *
 * The library is opened when this module is loaded, and stays open: Deno's leak check takes one that is
 * first used inside of a test for one that the test forgot to close.
 */
const { symbols } = Deno.dlopen("libc.so.6", { dlsym: { type: "pointer" } });
/** void *dlsym(void *handle, const char *symbol); without a handle all that is loaded is searched. */
const DLSYM = { parameters: ["pointer", "buffer"], result: "pointer" } as const;
const dlsym = new Deno.UnsafeFnPointer(symbols.dlsym as Deno.PointerObject<typeof DLSYM>, DLSYM);

/**
 * Properties that turn into their functions when they are first read.
 *
 * @throws {TypeError} then, when libc has no such function.
 */
export function functionsOf<const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
): Deno.DynamicLibrary<S>["symbols"] {
  const table = {};
  for (const key of Object.keys(symbols)) {
    Object.defineProperty(table, key, {
      configurable: true,
      get() {
        const value = lookUp(key, symbols[key] as Deno.ForeignFunction);
        Object.defineProperty(table, key, { value });
        return value;
      },
    });
  }
  return table as Deno.DynamicLibrary<S>["symbols"];
}

function lookUp(key: string, symbol: Deno.ForeignFunction): (...args: never[]) => unknown {
  const name = symbol.name ?? key;
  const address = dlsym.call(null, cString(name));
  if (address === null) throw new TypeError(`libc has no function ${name}`);
  const pointer = new Deno.UnsafeFnPointer(
    address as Deno.PointerObject<Deno.ForeignFunction>,
    symbol,
  );
  return pointer.call.bind(pointer) as (...args: never[]) => unknown;
}
