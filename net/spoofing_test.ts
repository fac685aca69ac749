import assert from "node:assert/strict";
import fc from "fast-check";
import { netlink } from "../ffi/mod.ts";
import { spoofingGuard } from "./spoofing.ts";
import { runBpf } from "./testing/bpf_machine.ts";
import { arp, ethernet, fragment, icmpv6, ipv4, ipv6, options, udp } from "./testing/frames.ts";

const MAC = "02:00:00:00:00:05", OTHER_MAC = "02:00:00:00:00:06";
const OWN = "10.0.0.5", SECOND = "10.1.0.5", OTHER = "10.0.0.6";
const OWN6 = "fd00::5", LOCAL6 = "fe80::ff:fe00:5", OTHER6 = "fe80::ff:fe00:6";
const [IP, IP6, ARP] = [0x0800, 0x86dd, 0x0806];
const [TCP, UDP, ICMPV6] = [6, 17, 58];
const [HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS] = [0, 43, 44, 60];
const { NEXT_FILTER, DROP }: Record<string, number> = netlink.BPF_VERDICT;

const at = (address: string) => ({ address, prefixLength: 24, noPrefixRoute: false });
const guard = (...addresses: string[]) =>
  spoofingGuard({ name: "eth0", mac: MAC, addresses: addresses.map(at) });
const KNOWN = guard(OWN, SECOND, OWN6).program;
const payload = new Uint8Array(20);
const from = (mac: string, type: number, packet: Uint8Array) => ethernet(mac, type, packet);
const v4 = (source: string, protocol: number, body: Uint8Array, more = {}) =>
  from(MAC, IP, ipv4(source, protocol, body, more));
const v6 = (source: string, next: number, body: Uint8Array) =>
  from(MAC, IP6, ipv6(source, next, body));

/** Frames, and whether they pass a guard that knows the addresses, and one that does not. */
const FRAMES: Readonly<Record<string, readonly [Uint8Array, known: boolean, unknown: boolean]>> = {
  "IPv4 from an own address": [v4(OWN, TCP, payload), true, true],
  "IPv4 from another own address": [v4(SECOND, UDP, udp(1000)), true, true],
  "IPv4 from another address": [v4(OTHER, TCP, payload), false, true],
  "IPv4 from no address": [v4("0.0.0.0", UDP, udp(68)), false, true],
  "IPv4 from another MAC": [from(OTHER_MAC, IP, ipv4(OWN, TCP, payload)), false, false],
  "an answer of a DHCP server": [v4(OWN, UDP, udp(67)), false, false],
  "… behind IPv4 options": [v4(OWN, UDP, udp(67), { optionBytes: 8 }), false, false],
  "UDP behind IPv4 options": [v4(OWN, UDP, udp(68), { optionBytes: 40 }), true, true],
  "a later fragment that looks like one": [v4(OWN, UDP, udp(67), { fragment: 100 }), true, true],
  "a first fragment of one": [v4(OWN, UDP, udp(67), { fragment: 0x2000 }), false, false],
  "TCP from port 67": [v4(OWN, TCP, udp(67)), true, true],
  "UDP without ports": [v4(OWN, UDP, new Uint8Array(3)), false, false],
  "IPv4 that is cut short": [v4(OWN, TCP, payload).subarray(0, 33), false, false],
  "another version as IPv4": [from(MAC, IP, ipv6(OWN6, TCP, payload)), false, false],

  "ARP from an own address": [from(MAC, ARP, arp(MAC, OWN, OTHER)), true, true],
  "ARP from another address": [from(MAC, ARP, arp(MAC, OTHER, OTHER)), false, true],
  "ARP from another MAC inside": [from(MAC, ARP, arp(OTHER_MAC, OWN, OWN)), false, false],
  "ARP from another MAC outside": [from(OTHER_MAC, ARP, arp(MAC, OWN, OWN)), false, false],
  "an ARP probe": [from(MAC, ARP, arp(MAC, "0.0.0.0", OTHER)), true, true],
  "an ARP answer from no address": [from(MAC, ARP, arp(MAC, "0.0.0.0", OTHER, 2)), false, true],
  "ARP for something else": [from(MAC, ARP, new Uint8Array(28)), false, false],
  "ARP that is cut short": [from(MAC, ARP, arp(MAC, OWN, OTHER)).subarray(0, 41), false, false],

  "IPv6 from an own address": [v6(OWN6, TCP, payload), true, true],
  "IPv6 from the link-local one": [v6(LOCAL6, UDP, udp(546)), true, true],
  "IPv6 from another address": [v6("fd00::6", TCP, payload), false, true],
  "IPv6 from no address": [v6("::", TCP, payload), false, false],
  "IPv6 from another MAC": [from(OTHER_MAC, IP6, ipv6(OWN6, TCP, payload)), false, false],
  "an answer of a DHCPv6 server": [v6(LOCAL6, UDP, udp(547)), false, false],
  "… behind options": [v6(LOCAL6, OPTIONS, options(UDP, udp(547))), false, false],
  "UDP behind options": [v6(OWN6, HOP_BY_HOP, options(UDP, udp(5), 24)), true, true],
  "a router advertisement": [v6(LOCAL6, ICMPV6, icmpv6(134)), false, false],
  "… behind options ": [v6(LOCAL6, OPTIONS, options(ICMPV6, icmpv6(134), 16)), false, false],
  "… behind routing": [v6(LOCAL6, ROUTING, options(ICMPV6, icmpv6(134))), false, false],
  "… in a fragment": [v6(LOCAL6, FRAGMENT, fragment(ICMPV6, icmpv6(134), 1)), false, false],
  "… behind options in a fragment": [
    v6(LOCAL6, FRAGMENT, fragment(OPTIONS, options(ICMPV6, icmpv6(134)), 1)),
    false,
    false,
  ],
  "… in a later fragment": [v6(LOCAL6, FRAGMENT, fragment(OPTIONS, options(58), 1)), false, false],
  "a later fragment": [v6(OWN6, FRAGMENT, fragment(UDP, icmpv6(134), 8)), true, true],
  "a later fragment from no address": [v6("::", FRAGMENT, fragment(58, payload, 8)), false, false],
  "a first fragment of UDP": [v6(OWN6, FRAGMENT, fragment(UDP, udp(7), 1)), true, true],
  "four extension headers": [v6(OWN6, OPTIONS, chain(4, TCP)), true, true],
  "five extension headers": [v6(OWN6, OPTIONS, chain(5, TCP)), false, false],
  "an endless extension header": [v6(OWN6, OPTIONS, Uint8Array.of(58, 255)), false, false],
  "a redirect": [v6(LOCAL6, ICMPV6, icmpv6(137)), false, false],
  "an echo request": [v6(OWN6, ICMPV6, icmpv6(128)), true, true],
  "a neighbor advertisement": [v6(OWN6, ICMPV6, icmpv6(136, OWN6)), true, true],
  "… for the link-local one": [v6(OWN6, ICMPV6, icmpv6(136, LOCAL6)), true, true],
  "… for another": [v6(OWN6, ICMPV6, icmpv6(136, OTHER6)), false, true],
  "… that is cut short": [v6(OWN6, ICMPV6, icmpv6(136, OWN6).subarray(0, 23)), false, false],
  "a neighbor solicitation": [v6(LOCAL6, ICMPV6, icmpv6(135, OTHER6)), true, true],
  "a search for duplicates": [v6("::", ICMPV6, icmpv6(135, OWN6)), true, true],
  "… of another's address": [v6("::", ICMPV6, icmpv6(135, OTHER6)), false, true],
  "a router solicitation": [v6("::", ICMPV6, icmpv6(133)), true, true],
  "a multicast report": [v6("::", HOP_BY_HOP, options(ICMPV6, icmpv6(143))), true, true],
  "an advertisement from no address": [v6("::", ICMPV6, icmpv6(134)), false, false],
  "an echo request from no address": [v6("::", ICMPV6, icmpv6(128)), false, false],

  "another protocol": [from(MAC, 0x88cc, payload), false, false],
  "a bridge's message": [from(MAC, 38, payload), false, false],
  "a tagged frame": [from(MAC, 0x8100, payload), false, false],
  "nothing": [new Uint8Array(0), false, false],
};

/** `count` extension headers after the first one's number. */
function chain(count: number, last: number): Uint8Array {
  let body: Uint8Array = options(last, payload);
  for (let left = count; left > 1; left--) body = options(OPTIONS, body);
  return body;
}

Deno.test("frames pass from the interface's own addresses alone", () => {
  const verdict = (program: readonly netlink.BpfInstruction[], frame: Uint8Array) =>
    ({ [NEXT_FILTER]: true, [DROP]: false })[runBpf(program, frame)];
  const unknown = guard();
  assert.deepEqual([unknown.checksAddresses, guard(OWN).checksAddresses], [false, true]);
  const verdicts = Object.entries(FRAMES).map(([name, [frame]]) =>
    [name, verdict(KNOWN, frame), verdict(unknown.program, frame)] as const
  );
  const expected = Object.entries(FRAMES).map(([name, [, known, other]]) => [name, known, other]);
  assert.deepEqual(verdicts, expected);
});

Deno.test("a frame whose VLAN tag the kernel has taken off is dropped", () => {
  const [frame] = FRAMES["IPv4 from an own address"]!;
  assert.equal(runBpf(KNOWN, frame!, true), DROP);
});

Deno.test("an interface with IPv6 addresses alone sends no IPv4", () => {
  const { program } = guard(OWN6);
  for (const name of ["IPv4 from an own address", "ARP from an own address"]) {
    assert.equal(runBpf(program, FRAMES[name]![0]), DROP, name);
  }
  assert.equal(runBpf(program, FRAMES["IPv6 from an own address"]![0]), NEXT_FILTER);
});

Deno.test("no frame gets another result than pass or drop", () => {
  const frames = Object.values(FRAMES).map(([frame]) => frame);
  const hostile = fc.tuple(
    fc.constantFrom(...frames),
    fc.nat(120),
    fc.array(fc.tuple(fc.nat(100), fc.nat(255)), { maxLength: 6 }),
  ).map(([frame, length, changes]) => {
    const bytes = new Uint8Array(length);
    bytes.set(frame.subarray(0, length));
    for (const [at, byte] of changes) if (at >= 12 && at < length) bytes[at] = byte;
    return bytes;
  });
  const programs = [KNOWN, guard().program];
  fc.assert(
    fc.property(hostile, (frame) => {
      for (const program of programs) {
        assert([NEXT_FILTER, DROP].includes(runBpf(program, frame)));
      }
    }),
    { numRuns: 3000 },
  );
});

Deno.test("an interface with the most addresses fits the kernel's limit, with more it is refused", () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `fd00::${index + 1}`);
  const { length } = guard(...many(64)).program;
  assert(length <= 4096, `${length} instructions`);
  assert.throws(() => guard(...many(65)), /eth0 has 65 addresses, and at most 64 .*set spoofing/);
});
