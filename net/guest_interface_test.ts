import assert from "node:assert/strict";
import { netlink } from "../ffi/mod.ts";
import { planExisting, planInterface } from "./guest_interface.ts";
import type { NetnsState } from "./netns_state.ts";
import { checkResult } from "./result.ts";

const { AF, RT_TABLE_MAIN, RTPROT, RTN_UNICAST, IFA_F, RT_SCOPE } = netlink;
const NETNS = "/run/netns/x";
const ABOUT = { network: "net", ifname: "eth0", netns: NETNS, containerId: "c1" };

const link = (index: number, name: string, more: Partial<netlink.Link> = {}): netlink.Link => ({
  index,
  name,
  up: true,
  loopback: false,
  mtu: 1450,
  mac: `02:00:00:00:00:0${index}`,
  permanentMac: null,
  kind: "veth",
  ...more,
});
const address = (index: number, text: string, more: Partial<netlink.Address> = {}) => ({
  ...netlink.parseIpPrefix(text)!,
  index,
  flags: IFA_F.PERMANENT,
  scope: RT_SCOPE.UNIVERSE as number,
  ...more,
});
const route = (index: number, to: string | null, more: Partial<netlink.DumpedRoute> = {}) => ({
  family: AF.INET,
  destination: to === null ? null : netlink.parseIpPrefix(to),
  gateway: null,
  index,
  source: null,
  metric: 0,
  mtu: 0,
  onlink: false,
  table: RT_TABLE_MAIN,
  protocol: RTPROT.BOOT,
  type: RTN_UNICAST,
  multipath: false,
  ...more,
});

/** A namespace as set up by Calico: a gateway on the link, and a neighbour for it. */
const CALICO: NetnsState = {
  links: [link(1, "lo", { loopback: true, mac: null }), link(3, "eth0")],
  addresses: [
    address(3, "192.168.7.9/32"),
    address(3, "fe80::1/64", { scope: RT_SCOPE.LINK }),
    address(3, "2001:db8::5/64", { flags: IFA_F.NOPREFIXROUTE }),
    address(3, "fd00::9/128", { flags: IFA_F.PERMANENT | IFA_F.NOPREFIXROUTE }),
    address(1, "127.0.0.1/8"),
  ],
  routes: [
    route(3, null, { gateway: "169.254.1.1" }),
    route(3, "169.254.1.1/32"),
    route(3, "192.168.7.0/24", { protocol: RTPROT.KERNEL }),
    route(3, "192.168.7.255/32", { table: 255 }),
    route(3, "2001:db8::/64", { protocol: RTPROT.RA }),
    route(1, "10.0.0.0/8"),
    route(3, "10.0.0.0/8", { multipath: true }),
  ],
  neighbours: [
    { index: 3, address: "169.254.1.1", mac: "ee:ee:ee:ee:ee:ee" },
    { index: 1, address: "127.0.0.2", mac: "ee:ee:ee:ee:ee:ee" },
  ],
};

Deno.test("the guest's interface is that of the namespace, without what its kernel adds by itself", () => {
  const { guest, tap } = planInterface(checkResult({}, "x"), CALICO, ABOUT);
  assert.equal(tap, null);
  assert.deepEqual(guest, {
    name: "eth0",
    mac: "02:00:00:00:00:03",
    mtu: 1450,
    addresses: [
      { address: "192.168.7.9", prefixLength: 32, noPrefixRoute: false },
      { address: "fd00::9", prefixLength: 128, noPrefixRoute: true },
    ],
    routes: [
      {
        family: AF.INET,
        destination: { address: "169.254.1.1", prefixLength: 32 },
        gateway: null,
        source: null,
        metric: 0,
        mtu: 0,
        onlink: false,
      },
      {
        family: AF.INET,
        destination: null,
        gateway: "169.254.1.1",
        source: null,
        metric: 0,
        mtu: 0,
        onlink: false,
      },
    ],
    neighbours: [{ address: "169.254.1.1", mac: "ee:ee:ee:ee:ee:ee" }],
  });
});

Deno.test("the result's addresses are used, each once, if the namespace has none", () => {
  const state = { ...CALICO, addresses: [], routes: [] };
  const result = checkResult({
    interfaces: [{ name: "eth0", sandbox: NETNS }, { name: "t", sandbox: NETNS }],
    ips: [
      { address: "10.88.0.2/16", gateway: "10.88.0.1", interface: 0 },
      { address: "10.88.0.2/16", gateway: "10.88.0.1", interface: 1 },
      { address: "fd00::2/64", gateway: "fd00::1", interface: 0 },
    ],
    routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }, { dst: "10.9.0.0/16", gw: "10.88.0.9" }],
  }, "x");
  const { guest } = planInterface(result, state, ABOUT);
  const text = (prefix: netlink.IpPrefix | null) =>
    prefix === null ? "default" : `${prefix.address}/${prefix.prefixLength}`;
  assert.deepEqual(guest.addresses.map(text), ["10.88.0.2/16", "fd00::2/64"]);
  assert.deepEqual(guest.routes.map(({ destination, gateway }) => [text(destination), gateway]), [
    ["default", "10.88.0.1"],
    ["default", "fd00::1"],
    ["10.9.0.0/16", "10.88.0.9"],
  ]);
});

Deno.test("an address whose prefix route was removed, as ptp does, gets noPrefixRoute", () => {
  const state: NetnsState = {
    links: [link(2, "eth0")],
    addresses: [
      address(2, "10.94.0.2/24"),
      address(2, "10.96.7.2/20"),
      address(2, "fd00::2/64"),
      address(2, "fd01::2/64"),
    ],
    routes: [
      route(2, "10.94.0.0/24", { gateway: "10.94.0.1" }),
      route(2, "10.94.0.1/32"),
      route(3, "10.94.0.0/24", { protocol: RTPROT.KERNEL }),
      route(2, "10.96.0.0/20", { protocol: RTPROT.KERNEL }),
      route(2, "fd00::/64", { family: AF.INET6, protocol: RTPROT.KERNEL }),
      route(2, "fd01::/63", { family: AF.INET6, protocol: RTPROT.KERNEL }),
    ],
    neighbours: [],
  };
  const { guest } = planInterface(checkResult({}, "x"), state, ABOUT);
  assert.deepEqual(guest.addresses.map(({ address, noPrefixRoute }) => [address, noPrefixRoute]), [
    ["10.94.0.2", true],
    ["10.96.7.2", false],
    ["fd00::2", false],
    ["fd01::2", true],
  ]);
  const down = planInterface(
    checkResult({}, "x"),
    { ...state, links: [link(2, "eth0", { up: false })], routes: [] },
    ABOUT,
  );
  assert(down.guest.addresses.every(({ noPrefixRoute }) => !noPrefixRoute));
});

Deno.test("tc-redirect-tap's tap and MAC address are used, and must exist", () => {
  const result = checkResult({
    interfaces: [
      { name: "tap7", sandbox: NETNS },
      { name: "tap7", sandbox: "c1", mac: "02:00:00:00:00:AA" },
    ],
  }, "x");
  const links = [...CALICO.links, link(4, "tap7", { kind: "tun" })];
  const plan = planInterface(result, { ...CALICO, links }, ABOUT);
  assert.deepEqual([plan.tap, plan.guest.mac], ["tap7", "02:00:00:00:00:aa"]);
  assert.throws(() => planInterface(result, CALICO, ABOUT), /tap tap7 is not in/);
});

Deno.test("the error for a chain without an interface says which plugin it lacks", () => {
  const state = { ...CALICO, links: CALICO.links.slice(0, 1) };
  assert.throws(
    () => planInterface(checkResult({}, "x"), state, ABOUT),
    /network net made no Ethernet interface eth0 in .*such as bridge/,
  );
});

Deno.test("planExisting takes every interface that carries Ethernet frames and is up", () => {
  const links = [
    ...CALICO.links,
    link(4, "net1", { kind: "macvlan" }),
    link(5, "tap0", { kind: "tun" }),
    link(6, "tunl0", { mac: null }),
    link(7, "down0", { up: false }),
  ];
  const plans = planExisting({ ...CALICO, links });
  assert.deepEqual(plans.map(({ guest, tap }) => [guest.name, tap]), [
    ["eth0", null],
    ["net1", null],
  ]);
});
