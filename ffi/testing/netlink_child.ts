/**
 * Program for kernel_test.ts, run as root in a network namespace of its own: makes changes, and
 * reads them back from the kernel.
 */
import assert from "node:assert/strict";
import { CLONE, isSystemError, netlink, openNamespace, system, withNamespace } from "../mod.ts";
import { deleteLink } from "../netlink/link.ts";

const { Rtnetlink } = netlink;
using rtnetlink = Rtnetlink.open(system);
const links = () => rtnetlink.dump(netlink.dumpLinks(), netlink.parseLink, "links");
const link = (name: string) => links().find((each) => each.name === name)!;
const change = (request: netlink.NetlinkRequest) => rtnetlink.change(request, "test");
const refused = (code: string, call: () => unknown) =>
  assert.throws(call, (error) => isSystemError(error, code), code);

// Taps are exclusive, have a header, and go with the last descriptor unless persistent.
const fd = system.openTap("tap0", { exclusive: true, vnetHeaderBytes: 12, offloads: 0, owner: 0 });
refused("EBUSY", () => system.openTap("tap0"));
refused("ENAMETOOLONG", () => system.openTap("a-name-of-17-byte"));
const tap = link("tap0");
assert.deepEqual([tap.kind, tap.up, tap.mtu], ["tun", false, 1500]);
system.close(system.openTap("tap1", { persist: true }));
assert(link("tap1"));
refused("EBUSY", () => system.openTap("tap1", { exclusive: true }));
change(deleteLink(link("tap1").index));
assert.equal(link("tap1"), undefined);
system.close(system.openTap("tap2"));
assert.equal(link("tap2"), undefined);

// Links.
change(netlink.setLink(tap.index, { mtu: 9000, mac: "02:00:00:00:00:07" }));
change(netlink.setLink(tap.index, { name: "eth7" }));
change(netlink.setLink(tap.index, { up: true }));
change(netlink.setLink(1, { up: true }));
const eth7 = link("eth7");
assert.deepEqual([eth7.mtu, eth7.mac, eth7.up], [9000, "02:00:00:00:00:07", true]);
assert(link("lo").loopback);
refused("ENODEV", () => change(netlink.setLink(99, { up: true })));

// Addresses of both versions are usable at once.
const at = (text: string) => netlink.parseIpPrefix(text)!;
change(netlink.addAddress(eth7.index, at("10.1.0.2/24")));
change(netlink.addAddress(eth7.index, at("fd00:1::2/64")));
change(netlink.addAddress(eth7.index, at("fd00:2::2/64"), netlink.IFA_F.NOPREFIXROUTE));
refused("EEXIST", () => change(netlink.addAddress(eth7.index, at("10.1.0.2/24"))));
const addresses = rtnetlink.dump(netlink.dumpAddresses(), netlink.parseAddress, "addresses")
  .filter(({ index, scope }) => index === eth7.index && scope === 0);
assert.deepEqual(addresses.map((each) => `${each.address}/${each.prefixLength}`).sort(), [
  "10.1.0.2/24",
  "fd00:1::2/64",
  "fd00:2::2/64",
]);
const TENTATIVE = 0x40;
assert(addresses.every(({ flags }) => (flags & TENTATIVE) === 0));

// Routes and neighbours.
const route = {
  destination: null,
  gateway: null,
  index: eth7.index,
  source: null,
  metric: 0,
  mtu: 0,
  onlink: false,
};
const { INET, INET6 } = netlink.AF;
change(netlink.addRoute({ ...route, family: INET, gateway: "10.1.0.1", mtu: 1400 }));
change(netlink.addRoute({ ...route, family: INET, destination: at("10.9.0.0/16"), metric: 5 }));
change(netlink.addRoute({ ...route, family: INET6, gateway: "fd00:1::1" }));
const onlink = { destination: at("10.8.0.0/16"), gateway: "192.0.2.1", onlink: true };
change(netlink.addRoute({ ...route, family: INET, ...onlink, source: "10.1.0.2" }));
refused(
  "ENETUNREACH",
  () => change(netlink.addRoute({ ...route, family: INET, gateway: "192.0.2.9" })),
);
const routes = rtnetlink.dump(netlink.dumpRoutes(), netlink.parseRoute, "routes")
  .filter(({ table, protocol }) => table === netlink.RT_TABLE_MAIN && protocol === 3)
  .map(({ destination, gateway, metric, mtu, source, onlink }) => ({
    to: destination === null ? "default" : `${destination.address}/${destination.prefixLength}`,
    gateway,
    metric,
    mtu,
    source,
    onlink,
  }));
const plain = { gateway: null, metric: 0, mtu: 0, source: null, onlink: false };
assert.deepEqual(routes.sort((a, b) => a.to.localeCompare(b.to)), [
  { ...plain, to: "10.8.0.0/16", gateway: "192.0.2.1", source: "10.1.0.2", onlink: true },
  { ...plain, to: "10.9.0.0/16", metric: 5 },
  { ...plain, to: "default", gateway: "10.1.0.1", mtu: 1400 },
  { ...plain, to: "default", gateway: "fd00:1::1", metric: 1024 },
]);
const neighbour = { index: eth7.index, address: "10.1.0.1", mac: "02:00:00:00:00:08" };
change(netlink.addNeighbour(neighbour));
change(netlink.addNeighbour(neighbour));
const neighbours = rtnetlink.dump(netlink.dumpNeighbours(), netlink.parseNeighbour, "neighbours");
assert.deepEqual(neighbours.filter((each) => each !== null), [neighbour]);

// A redirect between two taps sends from one what the other receives.
const other = system.openTap("tap3", { exclusive: true });
change(netlink.setLink(link("tap3").index, { up: true }));
change(netlink.addIngressQdisc(eth7.index));
change(netlink.addRedirect(eth7.index, link("tap3").index));
refused("EEXIST", () => change(netlink.addIngressQdisc(eth7.index)));
const qdiscs = rtnetlink.dump(netlink.dumpQdiscs(), netlink.parseQdisc, "qdiscs");
assert(qdiscs.some(({ index, kind }) => index === eth7.index && kind === "ingress"));
change(netlink.deleteIngressQdisc(eth7.index));
assert.throws(() => change(netlink.deleteIngressQdisc(eth7.index)));
change(netlink.addIngressQdisc(eth7.index));
change(netlink.addRedirect(eth7.index, link("tap3").index));
const HEADER_BYTES = 12;
const packet = new Uint8Array(HEADER_BYTES + 60);
packet.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 10, 0x88, 0xb5], HEADER_BYTES); // local experimental
packet.fill(0xa5, HEADER_BYTES + 14);
assert.equal(system.write(fd, packet), packet.length);
const received = new Uint8Array(2000);
let found = false;
for (let tries = 0; tries < 1000 && !found; tries++) {
  const length = system.read(other, received);
  if (length === null) continue;
  found = received.subarray(length - 46, length).every((byte) => byte === 0xa5);
}
assert(found, "the packet was redirected");

// A BPF filter before the redirect drops, and the qdisc counts.
const drop = [{ code: 0x06, jt: 0, jf: 0, k: netlink.BPF_VERDICT.DROP }];
change(netlink.addBpfFilter(eth7.index, 1, drop));
refused("EINVAL", () => change(netlink.addBpfFilter(eth7.index, 2, [{ ...drop[0]!, code: 0xff }])));
assert.equal(system.write(fd, packet), packet.length);
const ingress = rtnetlink.dump(netlink.dumpQdiscs(), netlink.parseQdisc, "qdiscs")
  .find(({ index, kind }) => index === eth7.index && kind === "ingress");
assert.equal(ingress?.drops, 1);
assert.equal(system.read(other, received), null, "the packet was not redirected");

// A socket opened in another network namespace stays there; the thread returns.
const here = Deno.readLinkSync("/proc/thread-self/ns/net");
const home = openNamespace(system, "net");
system.unshare(CLONE.NEWNET);
const away = openNamespace(system, "net");
system.setns(home, CLONE.NEWNET);
using there = withNamespace(system, "net", away, () => Rtnetlink.open(system));
assert.equal(Deno.readLinkSync("/proc/thread-self/ns/net"), here);
const names = there.dump(netlink.dumpLinks(), netlink.parseLink, "links").map(({ name }) => name);
assert(names.includes("lo") && !names.includes("eth7"));
assert.throws(() =>
  withNamespace(system, "net", away, () => {
    throw new Error("inside");
  }), /inside/);
assert.equal(Deno.readLinkSync("/proc/thread-self/ns/net"), here);
// setLink moves a link to the namespace of a descriptor.
change(netlink.setLink(link("tap3").index, { netnsFd: away }));
assert.equal(link("tap3"), undefined);
