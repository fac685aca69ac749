import { NetlinkFormatError } from "./error.ts";

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** Returns the bytes of "02:00:00:00:00:01". @throws {TypeError} if `text` is not a MAC address. */
export function macBytes(text: string): Uint8Array {
  if (!MAC.test(text)) throw new TypeError(`${JSON.stringify(text)} is not a MAC address`);
  return Uint8Array.from(text.split(":"), (part) => parseInt(part, 16));
}

/** Returns text such as "02:00:00:00:00:01". @throws {NetlinkFormatError} if not six bytes. */
export function formatMac(bytes: Uint8Array): string {
  if (bytes.length !== 6) {
    throw new NetlinkFormatError(`MAC address has ${bytes.length} bytes, not 6`);
  }
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
