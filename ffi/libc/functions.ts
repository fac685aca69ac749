/**
 * libc's functions, called by their address.
 *
 * A function that `Deno.dlopen` is told of as one gets machine code of its own, compiled then and there:
 * 0.13 ms each, 50 times as much in an emulated guest at its start, for calls that are a microsecond
 * faster. Told of as data, a symbol is only looked up; `Deno.UnsafeFnPointer` calls it as it is.
 */
export function functionsOf<const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
): Deno.DynamicLibrary<S>["symbols"] {
  const asData = Object.entries(symbols).map(([key, { name = key }]) =>
    [key, { name, type: "pointer", optional: true }] as const
  );
  const addresses = Deno.dlopen("libc.so.6", Object.fromEntries(asData)).symbols;
  const table = {};
  for (const [key, symbol] of Object.entries(symbols)) {
    Object.defineProperty(table, key, {
      configurable: true,
      get() {
        const address = addresses[key] as Deno.PointerObject<Deno.ForeignFunction> | null;
        if (address === null) throw new TypeError(`libc has no ${symbol.name ?? key}`);
        const pointer = new Deno.UnsafeFnPointer(address, symbol as Deno.ForeignFunction);
        const value = pointer.call.bind(pointer);
        Object.defineProperty(table, key, { value });
        return value;
      },
    });
  }
  return table as Deno.DynamicLibrary<S>["symbols"];
}
