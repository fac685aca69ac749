import { netlink } from "../ffi/mod.ts";
import { BpfAssembler, VLAN_TAG_PRESENT } from "./classic_bpf.ts";
import { NetworkError } from "./error.ts";
import type { GuestInterface } from "./netns_state.ts";

/** Whether a VM may send with other MAC and IP addresses than its own. */
export type Spoofing = "deny" | "allow";

/** The identity of a guest's interface. */
export type Identity = Pick<GuestInterface, "name" | "mac" | "addresses">;

/** Limit of the addresses of one interface, by the kernel's limit of 4096 instructions. */
const ADDRESSES_MAX = 64;
/** Offsets in an Ethernet frame. */
const ETHERNET = { source: 6, type: 12, size: 14 } as const;
const ETHER_TYPE = { IPV4: 0x0800, ARP: 0x0806, IPV6: 0x86dd } as const;
/** RFC 791, behind the Ethernet header. */
const IPV4 = { version: 14, fragment: 20, protocol: 23, source: 26, size: 20 } as const;
/** RFC 826 for Ethernet and IPv4. */
const ARP = { types: 14, sizes: 18, operation: 20, mac: 22, address: 28, size: 28 } as const;
/** RFC 8200 */
const IPV6 = { next: 20, source: 22, size: 40 } as const;
/** Extension headers of IPv6 that are passed over; frames with more of them are dropped. */
const EXTENSIONS_MAX = 4;
const EXTENSION_BYTES_MIN = 8;
const NEXT = {
  HOP_BY_HOP: 0,
  UDP: 17,
  ROUTING: 43,
  FRAGMENT: 44,
  ICMPV6: 58,
  OPTIONS: 60,
} as const;
/** ICMPv6 types, from RFC 2710, 3810 and 4861. */
const ICMPV6 = {
  MULTICAST_REPORT: 131,
  MULTICAST_DONE: 132,
  ROUTER_SOLICITATION: 133,
  ROUTER_ADVERTISEMENT: 134,
  NEIGHBOR_SOLICITATION: 135,
  NEIGHBOR_ADVERTISEMENT: 136,
  REDIRECT: 137,
  MULTICAST_REPORT_V2: 143,
} as const;
/** Offset of the target address in neighbor solicitations and advertisements. */
const TARGET = 8;
const UDP_PORTS_BYTES = 4;
const DHCP_SERVER_PORT = 67, DHCPV6_SERVER_PORT = 547;
/** Memory slots. */
const NEXT_HEADER = 0, IS_UNSPECIFIED = 1;
const { NEXT_FILTER, DROP } = netlink.BPF_VERDICT;

/**
 * Plans the filter of frames that a guest sends. Pure.
 *
 * It passes frames with the interface's MAC address whose IP or ARP sender is one of its addresses,
 * to the filter that redirects them; docs/NETWORKING.md has the rules. The result depends on the
 * frame alone: lengths are checked first, because a load behind the end of a frame would hand the
 * frame to the network namespace.
 *
 * @returns the program, and whether it checks addresses: for an interface without an address it
 *   checks the MAC address alone.
 * @throws {NetworkError} `config` for more addresses than a program can have.
 */
export function spoofingGuard(
  identity: Identity,
): { program: netlink.BpfInstruction[]; checksAddresses: boolean } {
  const { name, addresses } = identity;
  if (addresses.length > ADDRESSES_MAX) {
    throw new NetworkError(
      "config",
      `interface ${name} has ${addresses.length} addresses, and at most ${ADDRESSES_MAX} can be ` +
        "checked in what the VM sends; use fewer, or set spoofing to allow",
    );
  }
  return {
    program: new Guard(identity).assemble(),
    checksAddresses: addresses.length > 0,
  };
}

/** Writes the program. */
class Guard {
  readonly #code = new BpfAssembler();
  readonly #mac: readonly [high: number, low: number];
  /** Own addresses as 32-bit words; null: any address is the guest's. */
  readonly #ipv4: readonly (readonly number[])[] | null;
  readonly #ipv6: readonly (readonly number[])[] | null;

  constructor({ mac, addresses }: Identity) {
    const bytes = netlink.macBytes(mac);
    this.#mac = [words(bytes.subarray(0, 4))[0]!, bytes[4]! << 8 | bytes[5]!];
    const own = addresses.map(({ address }) => words(netlink.ipBytes(address)));
    const isKnown = own.length > 0;
    this.#ipv4 = isKnown ? own.filter(({ length }) => length === 1) : null;
    this.#ipv6 = isKnown ? [...own.filter(({ length }) => length === 4), linkLocalOf(bytes)] : null;
  }

  assemble(): netlink.BpfInstruction[] {
    const code = this.#code;
    this.#requireLength(ETHERNET.size);
    code.load(4, VLAN_TAG_PRESENT).jumpUnless("IF_EQUAL", 0, "drop");
    this.#requireMac(ETHERNET.source);
    code.load(2, ETHERNET.type)
      .jumpIf("IF_EQUAL", ETHER_TYPE.IPV4, "IPv4")
      .jumpIf("IF_EQUAL", ETHER_TYPE.IPV6, "IPv6")
      .jumpUnless("IF_EQUAL", ETHER_TYPE.ARP, "drop");
    this.#arp();
    code.label("IPv4");
    this.#ipv4Packet();
    code.label("IPv6");
    this.#ipv6Packet();
    code.label("pass").return(NEXT_FILTER).label("drop").return(DROP);
    return code.assemble();
  }

  #arp(): void {
    const code = this.#code;
    this.#requireLength(ETHERNET.size + ARP.size);
    code.load(4, ARP.types).jumpUnless("IF_EQUAL", 0x1_0800, "drop");
    code.load(2, ARP.sizes).jumpUnless("IF_EQUAL", 0x0604, "drop");
    this.#requireMac(ARP.mac);
    this.#passIfOwn(this.#ipv4, (at) => code.load(4, ARP.address + at), "pass");
    // A probe (RFC 5227): the sender has no address yet.
    code.load(4, ARP.address).jumpUnless("IF_EQUAL", 0, "drop");
    code.load(2, ARP.operation).jumpIf("IF_EQUAL", 1, "pass").jump("drop");
  }

  #ipv4Packet(): void {
    const code = this.#code;
    this.#requireLength(ETHERNET.size + IPV4.size);
    code.load(1, IPV4.version).calculate("AND", 0xf0).jumpUnless("IF_EQUAL", 0x40, "drop");
    this.#passIfOwn(this.#ipv4, (at) => code.load(4, IPV4.source + at), "own IPv4");
    code.jump("drop");
    code.label("own IPv4").load(1, IPV4.protocol).jumpUnless("IF_EQUAL", NEXT.UDP, "pass");
    // Only the first fragment has ports.
    code.load(2, IPV4.fragment).calculate("AND", 0x1fff).jumpUnless("IF_EQUAL", 0, "pass");
    code.ipv4SizeToX(IPV4.version);
    this.#requireBehindX(ETHERNET.size + UDP_PORTS_BYTES);
    code.loadBehindX(2, ETHERNET.size).jumpIf("IF_EQUAL", DHCP_SERVER_PORT, "drop").jump("pass");
  }

  #ipv6Packet(): void {
    const code = this.#code;
    this.#requireLength(ETHERNET.size + IPV6.size);
    const source = (at: number) => code.load(4, IPV6.source + at);
    code.loadConstant(0).storeSlot(IS_UNSPECIFIED);
    this.#passIfOwn([[0, 0, 0, 0]], source, "unspecified");
    this.#passIfOwn(this.#ipv6, source, "headers");
    code.jump("drop");
    code.label("unspecified").loadConstant(1).storeSlot(IS_UNSPECIFIED);
    code.label("headers").load(1, IPV6.next).storeSlot(NEXT_HEADER);
    code.loadConstant(ETHERNET.size + IPV6.size).copyToX();
    for (let left = EXTENSIONS_MAX; left >= 0; left--) this.#extension(left);
    code.label("upper").loadSlot(NEXT_HEADER).jumpIf("IF_EQUAL", NEXT.ICMPV6, "ICMPv6");
    code.loadSlot(IS_UNSPECIFIED).jumpUnless("IF_EQUAL", 0, "drop");
    code.loadSlot(NEXT_HEADER).jumpUnless("IF_EQUAL", NEXT.UDP, "pass");
    this.#requireBehindX(UDP_PORTS_BYTES);
    code.loadBehindX(2, 0).jumpIf("IF_EQUAL", DHCPV6_SERVER_PORT, "drop").jump("pass");
    this.#icmpv6();
  }

  /** Passes over one extension header; X is its offset. */
  #extension(left: number): void {
    const code = this.#code;
    const [options, fragment, next] = [code.newLabel(), code.newLabel(), code.newLabel()];
    code.loadSlot(NEXT_HEADER);
    for (const header of [NEXT.HOP_BY_HOP, NEXT.ROUTING, NEXT.OPTIONS]) {
      code.jumpIf("IF_EQUAL", header, left === 0 ? "drop" : options);
    }
    code.jumpIf("IF_EQUAL", NEXT.FRAGMENT, left === 0 ? "drop" : fragment).jump("upper");
    if (left === 0) return;
    code.label(options);
    this.#requireBehindX(EXTENSION_BYTES_MIN);
    code.loadBehindX(1, 0).storeSlot(NEXT_HEADER);
    // Its length is in units of eight bytes, without the first eight.
    code.loadBehindX(1, 1).calculate("ADD", 1).calculate("SHIFT_LEFT", 3).jump(next);
    code.label(fragment);
    this.#requireBehindX(EXTENSION_BYTES_MIN);
    code.loadBehindX(1, 0).storeSlot(NEXT_HEADER);
    const first = code.newLabel();
    code.loadBehindX(2, 2).calculate("AND", 0xfff8).jumpIf("IF_EQUAL", 0, first);
    // Only the first fragment has the headers that matter; RFC 7112 requires all of them in it.
    code.loadSlot(IS_UNSPECIFIED).jumpIf("IF_EQUAL", 0, "pass").jump("drop");
    code.label(first).loadConstant(EXTENSION_BYTES_MIN);
    code.label(next).calculate("ADD_X").copyToX();
  }

  #icmpv6(): void {
    const code = this.#code;
    code.label("ICMPv6");
    this.#requireBehindX(EXTENSION_BYTES_MIN);
    code.loadSlot(IS_UNSPECIFIED).jumpIf("IF_EQUAL", 0, "own ICMPv6");
    code.loadBehindX(1, 0)
      .jumpIf("IF_EQUAL", ICMPV6.MULTICAST_REPORT, "pass")
      .jumpIf("IF_EQUAL", ICMPV6.MULTICAST_DONE, "pass")
      .jumpIf("IF_EQUAL", ICMPV6.MULTICAST_REPORT_V2, "pass")
      .jumpIf("IF_EQUAL", ICMPV6.ROUTER_SOLICITATION, "pass")
      // Detection of duplicates of an address (RFC 4862, 5.4).
      .jumpIf("IF_EQUAL", ICMPV6.NEIGHBOR_SOLICITATION, "target")
      .jump("drop");
    code.label("own ICMPv6").loadBehindX(1, 0)
      .jumpIf("IF_EQUAL", ICMPV6.ROUTER_ADVERTISEMENT, "drop")
      .jumpIf("IF_EQUAL", ICMPV6.REDIRECT, "drop")
      .jumpUnless("IF_EQUAL", ICMPV6.NEIGHBOR_ADVERTISEMENT, "pass");
    code.label("target");
    this.#requireBehindX(TARGET + 16);
    this.#passIfOwn(this.#ipv6, (at) => code.loadBehindX(4, TARGET + at), "pass");
    code.jump("drop");
  }

  #requireLength(bytes: number): void {
    this.#code.loadLength().jumpUnless("IF_AT_LEAST", bytes, "drop");
  }

  /** Drops a frame that does not have `bytes` bytes at X; it has as many at its begin. */
  #requireBehindX(bytes: number): void {
    this.#code.loadLength().calculate("SUBTRACT", bytes).jumpUnless("IF_AT_LEAST_X", 0, "drop");
  }

  #requireMac(offset: number): void {
    const [high, low] = this.#mac;
    this.#code.load(4, offset).jumpUnless("IF_EQUAL", high, "drop");
    this.#code.load(2, offset + 4).jumpUnless("IF_EQUAL", low, "drop");
  }

  /** Jumps if the address that `load` loads word by word is one of `own`, else goes on. */
  #passIfOwn(
    own: readonly (readonly number[])[] | null,
    load: (at: number) => void,
    to: string,
  ): void {
    if (own === null) this.#code.jump(to);
    for (const address of own ?? []) {
      const other = this.#code.newLabel();
      for (const [at, word] of address.entries()) {
        load(at * 4);
        this.#code.jumpUnless("IF_EQUAL", word, other);
      }
      this.#code.jump(to).label(other);
    }
  }
}

/** Returns the link-local address that a kernel derives from a MAC address (RFC 4291, A). */
function linkLocalOf(mac: Uint8Array): number[] {
  const [a, b, c, d, e, f] = mac;
  return words(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a! ^ 2, b!, c!, 0xff, 0xfe, d!, e!, f!));
}

function words(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 4 }, (_, at) => view.getUint32(at * 4));
}
