/** IP addresses as text and as bytes: 4 for IPv4 (RFC 791), 16 for IPv6 (RFC 4291, RFC 5952). */

import { NetlinkFormatError } from "./error.ts";
import { AF } from "./constants.ts";

/** An address with its prefix length, such as "10.0.0.2/24". */
export interface IpPrefix {
  /** Text in canonical form. */
  readonly address: string;
  readonly prefixLength: number;
}

/**
 * Returns the bytes of an address, or null if `text` is not one. Zones ("%eth0") and IPv4 in IPv6
 * are rejected.
 */
export function parseIp(text: string): Uint8Array | null {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Parses "10.0.0.2/24" or "fd00::2/64"; returns null for anything else. */
export function parseIpPrefix(text: string): IpPrefix | null {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const bytes = match === null ? null : parseIp(match[1]!);
  if (match === null || bytes === null) return null;
  const prefixLength = Number(match[2]);
  return prefixLength > bytes.length * 8 ? null : { address: formatIp(bytes), prefixLength };
}

/**
 * Returns the text of an address. @throws {NetlinkFormatError} if it has neither 4 nor 16 bytes.
 */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) {
    throw new NetlinkFormatError(`IP address has ${bytes.length} bytes, not 4 or 16`);
  }
  const groups = Array.from({ length: 8 }, (_, i) => bytes[2 * i]! << 8 | bytes[2 * i + 1]!);
  const zeros = longestZeros(groups);
  const hex = groups.map((group) => group.toString(16));
  if (zeros.length < 2) return hex.join(":");
  const before = hex.slice(0, zeros.start).join(":");
  return `${before}::${hex.slice(zeros.start + zeros.length).join(":")}`;
}

/** Returns the bytes of a valid address. @throws {TypeError} if it is not one. */
export function ipBytes(text: string): Uint8Array {
  const bytes = parseIp(text);
  if (bytes === null) throw new TypeError(`${JSON.stringify(text)} is not an IP address`);
  return bytes;
}

/** Returns the address family of an address's bytes. */
export function familyOf(bytes: Uint8Array): number {
  return bytes.length === 4 ? AF.INET : AF.INET6;
}

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  if (!parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return null;
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => half === "" ? [] : half.split(":"));
  const given = [...head!, ...(tail ?? [])];
  const missing = 8 - given.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  if (!given.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  const zeros = Array<string>(tail === undefined ? 0 : missing).fill("0");
  const groups = [...head!, ...zeros, ...(tail ?? [])].map((group) => parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** Finds the first of the longest runs of zero groups, which "::" replaces (RFC 5952, 4.2). */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
