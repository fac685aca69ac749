/**
 * JSON of the OCI specifications, whose numbers have 64 bits (RLIM_INFINITY is 2^64 - 1). An
 * integer that a JavaScript number cannot hold exactly becomes a bigint, and is written unchanged.
 */

/** Parses JSON; large integers become bigints. @throws {SyntaxError} */
export function parseOciJson(text: string): unknown {
  // Without a long integer the reviver has nothing to do, and takes six times as long as the parse.
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const exact: Reviver = (_, value, { source }) => {
    const isExact = typeof value !== "number" || Number.isSafeInteger(value);
    return isExact || !/^-?\d+$/.test(source ?? "") ? value : BigInt(source!);
  };
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

/** Returns JSON as UTF-8; bigints become integers. */
export function encodeOciJson(value: unknown): Uint8Array {
  const text = JSON.stringify(
    value,
    (_, one: unknown) => typeof one === "bigint" ? rawJSON(String(one)) : one,
  );
  return new TextEncoder().encode(text);
}

/**
 * ECMAScript's "JSON.parse source text access", which TypeScript's library does not declare yet.
 */
type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
