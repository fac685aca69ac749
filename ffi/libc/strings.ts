const encoder = new TextEncoder();

/**
 * A NUL-terminated copy of `text`.
 *
 * @throws {TypeError} when `text` contains NUL: libc would silently cut it there.
 */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) {
    throw new TypeError(`a NUL byte cannot go to libc: ${JSON.stringify(text)}`);
  }
  return encoder.encode(text + "\0") as Uint8Array<ArrayBuffer>;
}

/**
 * A `char *const[]` with its strings: pointers, a null pointer, then the bytes they point to. All in
 * one buffer, so that the strings live as long as the array that is handed over.
 *
 * @throws {TypeError} when a string contains NUL.
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
 * Where a buffer lies. Good only while the buffer is referenced: hand the buffer itself to the call
 * that follows the address.
 */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}
