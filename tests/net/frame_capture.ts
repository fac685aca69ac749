/** Frames with marks, and what of them arrives at an interface of the host. */

import { ifPresent } from "../../base/mod.ts";
import { arp, ethernet, icmpv6, ipv4, ipv6, options, udp } from "../../net/testing/frames.ts";
import { killChild } from "../lib/kill_child.ts";
import { patience, until } from "../lib/wait.ts";

const SEEN_WITHIN_MS = patience(20_000);
const [IPV4, IPV6, ARP, VLAN, LLDP] = [0x0800, 0x86dd, 0x0806, 0x8100, 0x88cc];
const [TCP, UDP, ICMPV6] = [6, 17, 58];
const DESTINATION_OPTIONS = 60;

/** Addresses of one end. */
export interface End {
  readonly mac: string;
  readonly ipv4: string;
  /** null: it has only a link-local one. */
  readonly ipv6: string | null;
  readonly linkLocal: string;
}

/** Returns frames that `self` may send, by their marks. */
export function honestFrames(self: End): Record<string, Uint8Array> {
  const frame = (type: number, packet: Uint8Array) => ethernet(self.mac, type, packet);
  return marked({
    "honest-arp": frame(ARP, arp(self.mac, self.ipv4, self.ipv4)),
    "honest-ipv4": frame(IPV4, ipv4(self.ipv4, UDP, udp(68))),
    "honest-ipv6": frame(IPV6, ipv6(self.ipv6 ?? self.linkLocal, UDP, udp(9))),
    "honest-advertisement": frame(
      IPV6,
      ipv6(self.linkLocal, ICMPV6, icmpv6(136, self.linkLocal)),
    ),
  });
}

/** Returns frames by which `self` pretends to be `other`, a router or a server, by their marks. */
export function spoofedFrames(self: End, other: End): Record<string, Uint8Array> {
  const frame = (type: number, packet: Uint8Array) => ethernet(self.mac, type, packet);
  const stolen = (type: number, packet: Uint8Array) => ethernet(other.mac, type, packet);
  const advertisement = icmpv6(134);
  return marked({
    "gratuitous-arp": frame(ARP, arp(self.mac, other.ipv4, other.ipv4)),
    "arp-answer": frame(ARP, arp(self.mac, other.ipv4, self.ipv4, 2)),
    "arp-with-other-mac": frame(ARP, arp(other.mac, self.ipv4, self.ipv4)),
    "other-mac": stolen(IPV4, ipv4(self.ipv4, TCP, udp(1))),
    "other-mac-and-address": stolen(IPV4, ipv4(other.ipv4, TCP, udp(1))),
    "other-ipv4": frame(IPV4, ipv4(other.ipv4, TCP, udp(1))),
    "dhcp-answer": frame(IPV4, ipv4(self.ipv4, UDP, udp(67))),
    "dhcp-answer-with-options": frame(IPV4, ipv4(self.ipv4, UDP, udp(67), { optionBytes: 4 })),
    "other-ipv6": frame(IPV6, ipv6(other.linkLocal, TCP, udp(1))),
    "dhcpv6-answer": frame(IPV6, ipv6(self.linkLocal, UDP, udp(547))),
    "router-advertisement": frame(IPV6, ipv6(self.linkLocal, ICMPV6, advertisement)),
    "hidden-router-advertisement": frame(
      IPV6,
      ipv6(self.linkLocal, DESTINATION_OPTIONS, options(ICMPV6, advertisement)),
    ),
    "icmpv6-redirect": frame(IPV6, ipv6(self.linkLocal, ICMPV6, icmpv6(137))),
    "other-advertisement": frame(
      IPV6,
      ipv6(self.linkLocal, ICMPV6, icmpv6(136, other.linkLocal)),
    ),
    "tagged": frame(VLAN, Uint8Array.of(0, 7, 8, 0, ...ipv4(self.ipv4, UDP, udp(9)))),
    "lldp": frame(LLDP, new Uint8Array(40)),
  });
}

/** Ends each frame with its mark, in brackets. */
function marked(frames: Record<string, Uint8Array>): Record<string, Uint8Array> {
  return Object.fromEntries(
    Object.entries(frames).map(([mark, frame]) => {
      return [mark, Uint8Array.of(...frame, ...new TextEncoder().encode(`[${mark}]`))];
    }),
  );
}

/** Records what an interface of the host receives, by socat. */
export class FrameCapture implements AsyncDisposable {
  readonly #path = Deno.makeTempFileSync();
  readonly #socat: Deno.ChildProcess;

  constructor(name: string) {
    const args = ["-u", `INTERFACE:${name}`, `OPEN:${this.#path},append`];
    this.#socat = new Deno.Command("socat", { args, stdin: "null", stderr: "null" }).spawn();
  }

  /** Waits until socat has its socket. */
  async started(): Promise<void> {
    const directory = `/proc/${this.#socat.pid}/fd`;
    await until("the capture", SEEN_WITHIN_MS, () => {
      const targets = [...Deno.readDirSync(directory)].map(({ name }) =>
        ifPresent(() => Deno.readLinkSync(`${directory}/${name}`)) ?? ""
      );
      return targets.some((target) => target.startsWith("socket:")) || null;
    });
  }

  /** Returns those of the marks that it has received. */
  marks(among: readonly string[]): string[] {
    const text = new TextDecoder("latin1").decode(Deno.readFileSync(this.#path));
    return among.filter((mark) => text.includes(`[${mark}]`));
  }

  /** Calls `send` until the mark is received, since socat needs a moment to start. */
  async received(mark: string, send: () => void = () => {}): Promise<void> {
    await until(`a frame ${mark}`, SEEN_WITHIN_MS, () => {
      send();
      return this.marks([mark]).length > 0 || null;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    killChild(this.#socat);
    await this.#socat.status;
    Deno.removeSync(this.#path);
  }
}
