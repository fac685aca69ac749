import { cString } from "./strings.ts";

/**
 * libc's functions, called by their address.
 *
 * A function that `Deno.dlopen` is told of gets machine code of its own, compiled then and there:
 * 0.13 ms each, 50 times as much in an emulated guest at its start, for calls that are a microsecond
 * faster. So it is told of one symbol, as data, which is only looked up: dlsym, by which all others are
 * found. `Deno.UnsafeFnPointer` calls them as they are. What is called often gets its machine code after
 * all: by then it pays.
 *
 * The library is opened when this module is loaded, and stays open: Deno's leak check takes one that is
 * first used inside of a test for one that the test forgot to close.
 */
const LIBC = "libc.so.6";
const { symbols } = Deno.dlopen(LIBC, { dlsym: { type: "pointer" } });
/** void *dlsym(void *handle, const char *symbol); without a handle all that is loaded is searched. */
const DLSYM = { parameters: ["pointer", "buffer"], result: "pointer" } as const;
/**
 * From this call on a function has machine code of its own: what that costs, so many calls through
 * `Deno.UnsafeFnPointer` cost more.
 */
const CALLS_UNCOMPILED = 256;

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
        const symbol = symbols[key] as Deno.ForeignFunction;
        const become = (value: unknown) =>
          void Object.defineProperty(table, key, { configurable: true, value });
        const found = lookUp(key, symbol);
        // What does not block has a thread to go to: there the call itself does not matter.
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

/** `call`, which tells when it was called `times` times. */
function counted(call: Callable, times: number, tell: () => void): Callable {
  let calls = 0;
  return (...args) => {
    if (++calls === times) tell();
    return call(...args);
  };
}

/** `name` as machine code. The library is open elsewhere: to close it here ends nothing. */
function compile(name: string, symbol: Deno.ForeignFunction): Callable {
  const library = Deno.dlopen(LIBC, { [name]: symbol });
  library.close();
  return library.symbols[name] as Callable;
}
