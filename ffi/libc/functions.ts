import { cString } from "./strings.ts";

/**
 * Functions of libc, called by their address.
 *
 * `Deno.dlopen` compiles machine code for each function that it is given: 0.13 ms each, 50 times as
 * much in an emulated guest at its start, for calls that are a microsecond faster. So it gets one
 * symbol, as data, which it only looks up: dlsym, which finds all others. `Deno.UnsafeFnPointer`
 * calls them without machine code of their own. Functions that are called often are compiled later,
 * when it pays.
 *
 * The library is opened when this module loads, and stays open: Deno's leak check takes a library
 * that is first used inside a test for one that the test forgot to close.
 */
const LIBC = "libc.so.6";
const { symbols } = Deno.dlopen(LIBC, { dlsym: { type: "pointer" } });
/** void *dlsym(void *handle, const char *symbol); a null handle searches all loaded libraries. */
const DLSYM = { parameters: ["pointer", "buffer"], result: "pointer" } as const;
/**
 * The call at which a function is compiled. The extra cost of this number of calls through
 * `Deno.UnsafeFnPointer` equals that of compiling.
 */
const CALLS_UNCOMPILED = 256;

const dlsym = new Deno.UnsafeFnPointer(symbols.dlsym as Deno.PointerObject<typeof DLSYM>, DLSYM);

/**
 * Returns a table of functions, each looked up when its property is first read.
 *
 * @throws {TypeError} at the first read, if libc has no such function.
 */
export function functionsOf<const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
): Deno.DynamicLibrary<S>["symbols"] {
  const table = {};
  for (const key of Object.keys(symbols)) {
    Object.defineProperty(table, key, {
      configurable: true,
      get() {
        const symbol = symbols[key] as Deno.ForeignFunction;
        const become = (value: unknown) =>
          void Object.defineProperty(table, key, { configurable: true, value });
        const found = lookUp(key, symbol);
        // A nonblocking call goes to another thread, which takes far longer than the call itself.
        const value = symbol.nonblocking
          ? found
          : counted(found, CALLS_UNCOMPILED, () => become(compile(symbol.name ?? key, symbol)));
        become(value);
        return value;
      },
    });
  }
  return table as Deno.DynamicLibrary<S>["symbols"];
}

function lookUp(key: string, symbol: Deno.ForeignFunction): Callable {
  const name = symbol.name ?? key;
  const address = dlsym.call(null, cString(name));
  if (address === null) throw new TypeError(`libc has no function ${name}`);
  const pointer = new Deno.UnsafeFnPointer(
    address as Deno.PointerObject<Deno.ForeignFunction>,
    symbol,
  );
  return pointer.call.bind(pointer) as Callable;
}

type Callable = (...args: never[]) => unknown;

/** Wraps `call`, and calls `reached` before its call number `times`. */
function counted(call: Callable, times: number, reached: () => void): Callable {
  let calls = 0;
  return (...args) => {
    if (++calls === times) reached();
    return call(...args);
  };
}

/**
 * Compiles `name` to machine code. Closing the library is safe, because it stays open elsewhere.
 */
function compile(name: string, symbol: Deno.ForeignFunction): Callable {
  const library = Deno.dlopen(LIBC, { [name]: symbol });
  library.close();
  return library.symbols[name] as Callable;
}
