import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { straceNetlink } from "../testing/strace_netlink.ts";
import { addAddress } from "./address.ts";
import { addBpfFilter, BPF_VERDICT } from "./bpf_filter.ts";
import { AF, IFA_F } from "./constants.ts";
import { setLink } from "./link.ts";
import { encodeRequest, type NetlinkRequest } from "./message.ts";
import { addNeighbour } from "./neighbour.ts";
import { addRoute, type Route } from "./route.ts";
import { addIngressQdisc, addRedirect } from "./traffic.ts";

const ROUTE: Route = {
  family: AF.INET,
  destination: null,
  gateway: null,
  index: 3,
  source: null,
  metric: 0,
  mtu: 0,
  onlink: false,
};

/** Requests and the iproute2 commands that send the same. */
const CASES: Readonly<Record<string, readonly [command: string, ours: NetlinkRequest]>> = {
  mtu: ["ip link set dev v0 mtu 1400", setLink(3, { mtu: 1400 })],
  mac: ["ip link set dev v0 address 02:00:00:00:00:09", setLink(3, { mac: "02:00:00:00:00:09" })],
  down: ["ip link set dev v0 down", setLink(3, { up: false })],
  up: ["ip link set dev v0 up", setLink(3, { up: true })],
  ipv4: ["ip addr add 10.0.0.2/24 dev v0", addAddress(3, at("10.0.0.2", 24))],
  ipv6: ["ip addr add fd00::2/64 dev v0 nodad", addAddress(3, at("fd00::2", 64))],
  noprefixroute: [
    "ip addr add fd00::3/64 dev v0 nodad noprefixroute",
    addAddress(3, at("fd00::3", 64), IFA_F.NOPREFIXROUTE),
  ],
  defaultRoute: [
    "ip route add default via 10.0.0.1 dev v0",
    addRoute({ ...ROUTE, gateway: "10.0.0.1" }),
  ],
  linkRoute: [
    "ip route add 10.5.0.0/16 dev v0 metric 7 mtu 1300",
    addRoute({ ...ROUTE, destination: at("10.5.0.0", 16), metric: 7, mtu: 1300 }),
  ],
  ipv6Route: [
    "ip -6 route add fd01::/48 via fd00::1 dev v0 onlink",
    addRoute({
      ...ROUTE,
      family: AF.INET6,
      destination: at("fd01::", 48),
      gateway: "fd00::1",
      onlink: true,
    }),
  ],
  neighbour: [
    "ip neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev v0 nud permanent",
    addNeighbour({ index: 3, address: "10.0.0.1", mac: "02:00:00:00:00:01" }),
  ],
  ingress: ["tc qdisc add dev v0 ingress", addIngressQdisc(3)],
  redirect: [
    "tc filter add dev v0 parent ffff: protocol all u32 match u32 0 0 " +
    "action mirred egress redirect dev tap0",
    addRedirect(3, 4),
  ],
  bpf: [
    "tc filter add dev v0 parent ffff: protocol all prio 1 bpf da bytecode " +
    "'3,21 0 1 4294963248,6 0 0 4294967295,6 0 0 2'",
    addBpfFilter(3, 1, [
      { code: 0x15, jt: 0, jf: 1, k: 0xffff_f030 },
      { code: 0x06, jt: 0, jf: 0, k: BPF_VERDICT.NEXT_FILTER },
      { code: 0x06, jt: 0, jf: 0, k: BPF_VERDICT.DROP },
    ]),
  ],
  name: ["ip link set dev tap0 name tap1", setLink(4, { name: "tap1" })],
};
const GOLDEN = new URL("../testdata/netlink.json", import.meta.url);

Deno.test("requests match those of ip(8) and tc(8)", async () => {
  if (Deno.env.get("UPDATE_GOLDEN") && canCapture()) {
    const commands = Object.entries(CASES).map(([name, [command]]) => [name, command] as const);
    const captured = await straceNetlink(Object.fromEntries(commands));
    await Deno.writeTextFile(GOLDEN, JSON.stringify(captured, null, 2) + "\n");
  }
  const golden = JSON.parse(await Deno.readTextFile(GOLDEN));
  const ours = Object.entries(CASES).map(([name, [, request]]) =>
    [name, Buffer.from(encodeRequest(request, 0)).toString("hex")] as const
  );
  assert.deepEqual(Object.fromEntries(ours), golden);
});

function at(address: string, prefixLength: number) {
  return { address, prefixLength };
}

/** Rewriting needs root and strace, comparing does not. */
function canCapture(): boolean {
  return Deno.uid() === 0 && new Deno.Command("strace", { args: ["-V"] }).outputSync().success;
}
