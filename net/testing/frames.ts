/** Frames for tests. Checksums are zero, and lengths inside are not filled in. */

import { netlink } from "../../ffi/mod.ts";

/** Returns an Ethernet frame to the broadcast address. */
export function ethernet(source: string, type: number, packet: Uint8Array): Uint8Array {
  return join(netlink.macBytes("ff:ff:ff:ff:ff:ff"), netlink.macBytes(source), u16(type), packet);
}

/** Returns an ARP request, or what `operation` says, of RFC 826. */
export function arp(mac: string, sender: string, target: string, operation = 1): Uint8Array {
  return join(
    Uint8Array.of(0, 1, 8, 0, 6, 4, 0, operation),
    netlink.macBytes(mac),
    netlink.ipBytes(sender),
    new Uint8Array(6),
    netlink.ipBytes(target),
  );
}

/** Returns an IPv4 packet; `fragment` is the field with flags and offset. */
export function ipv4(
  source: string,
  protocol: number,
  body: Uint8Array,
  { optionBytes = 0, fragment = 0 }: { optionBytes?: number; fragment?: number } = {},
): Uint8Array {
  const header = new Uint8Array(20 + optionBytes);
  header.set([0x40 | header.length / 4, 0, 0, 0, 0, 0, fragment >> 8, fragment & 0xff, 64]);
  header[9] = protocol;
  header.set(netlink.ipBytes(source), 12);
  header.set([10, 0, 0, 1], 16);
  return join(header, body);
}

/** Returns an IPv6 packet to all nodes. */
export function ipv6(source: string, next: number, body: Uint8Array): Uint8Array {
  const header = Uint8Array.of(0x60, 0, 0, 0, 0, body.length, next, 255);
  return join(header, netlink.ipBytes(source), netlink.ipBytes("ff02::1"), body);
}

/** Returns options or routing of IPv6 before `body`; `bytes` is the header's size. */
export function options(next: number, body: Uint8Array = new Uint8Array(), bytes = 8): Uint8Array {
  const header = new Uint8Array(bytes);
  header.set([next, bytes / 8 - 1]);
  return join(header, body);
}

/** Returns a fragment header of IPv6 before `body`; `field` is the one with offset and flag. */
export function fragment(next: number, body: Uint8Array, field: number): Uint8Array {
  return join(Uint8Array.of(next, 0), u16(field), new Uint8Array(4), body);
}

/** Returns an ICMPv6 message of 24 bytes with a target address. */
export function icmpv6(type: number, target = "::"): Uint8Array {
  return join(Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0), netlink.ipBytes(target));
}

/** Returns a UDP datagram from a port. */
export function udp(source: number): Uint8Array {
  return join(u16(source), u16(68), u16(8), u16(0));
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
