import { NetlinkFormatError } from "./error.ts";

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** The six bytes of "02:00:00:00:00:01". @throws {TypeError} when it is no MAC address. */
export function macBytes(text: string): Uint8Array {
  if (!MAC.test(text)) throw new TypeError(`${JSON.stringify(text)} is no MAC address`);
  return Uint8Array.from(text.split(":"), (part) => parseInt(part, 16));
}

/** "02:00:00:00:00:01". @throws {NetlinkFormatError} for another number of bytes than six. */
export function formatMac(bytes: Uint8Array): string {
  if (bytes.length !== 6) throw new NetlinkFormatError(`a MAC address of ${bytes.length} bytes`);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
