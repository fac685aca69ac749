const encoder = new TextEncoder();

/**
 * Returns a NUL-terminated copy of `text`.
 *
 * @throws {TypeError} if `text` contains NUL, where libc would silently cut it.
 */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) {
    throw new TypeError(`string for libc must not contain a NUL byte: ${JSON.stringify(text)}`);
  }
  return encoder.encode(text + "\0") as Uint8Array<ArrayBuffer>;
}

/**
 * Returns a `char *const[]` with its strings: pointers, a null pointer, then the bytes that they
 * point to. One buffer has all of it, so that the strings live as long as the array.
 *
 * @throws {TypeError} if a string contains NUL.
 */
export function cStringArray(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  const strings = texts.map(cString);
  let offset = (strings.length + 1) * 8;
  const buffer = new ArrayBuffer(strings.reduce((sum, each) => sum + each.length, offset));
  const bytes = new Uint8Array(buffer);
  const pointers = new BigUint64Array(buffer, 0, strings.length + 1);
  const base = addressOf(bytes);
  strings.forEach((each, index) => {
    bytes.set(each, offset);
    pointers[index] = base + BigInt(offset);
    offset += each.length;
  });
  return bytes;
}

/**
 * Returns the address of a buffer. It is valid only while the buffer is referenced: pass the buffer
 * itself to the call that uses the address.
 */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}
