/**
 * The program of network_test.ts, run as root in a network namespace of its own, where taps stand
 * in for virtio-net devices: configures the network, and checks what rtnetlink reports then.
 */
import assert from "node:assert/strict";
import { netlink, system } from "../../ffi/mod.ts";
import { create, guest, RpcError } from "../../proto/mod.ts";
import { configureNetwork } from "../system/network.ts";

const DEVICE_MAC = "52:54:00:71:62:00";
using rtnetlink = netlink.Rtnetlink.open(system);
const links = () => rtnetlink.dump(netlink.dumpLinks(), netlink.parseLink, "links");
system.openTap("device0");
const device = links().find(({ name }) => name === "device0")!;
rtnetlink.change(netlink.setLink(device.index, { mac: DEVICE_MAC }), "mac");

const written: string[] = [];
const host = {
  system,
  writeSysctl: (path: string, value: string) => {
    written.push(`${path}=${value}`);
    Deno.writeTextFileSync(path, value);
  },
};
const wanted = {
  deviceMac: DEVICE_MAC,
  name: "eth0",
  mac: "02:00:00:00:00:0a",
  mtu: 9000,
  addresses: [
    { address: "10.88.0.2", prefixLength: 16 },
    { address: "fd00::2", prefixLength: 64 },
    { address: "192.168.7.9", prefixLength: 32, noPrefixRoute: true },
  ],
  routes: [
    { destination: "169.254.1.1", prefixLength: 32 },
    { gateway: "169.254.1.1" },
    { gateway: "fd00::1", ipv6: true },
  ],
  neighbours: [{ address: "169.254.1.1", mac: "ee:ee:ee:ee:ee:ee" }],
};
const request = (more: object) => create(guest.ConfigureNetworkRequestSchema, more);
const code = (name: string) => (error: unknown) =>
  error instanceof RpcError && new RegExp(name).test(error.message);

assert.throws(
  () => configureNetwork(host, request({ sysctls: { "kernel.x": "1" } })),
  code("is not a network sysctl"),
);
assert.throws(
  () => configureNetwork(host, request({ interfaces: [{ ...wanted, deviceMac: "x" }] })),
  code("no network device has address x"),
);
assert.throws(
  () =>
    configureNetwork(
      host,
      request({
        interfaces: [{ ...wanted, name: "device0", addresses: [{ address: "nonsense" }] }],
        sysctls: { "net.ipv6.conf.device0.accept_ra": "1" },
      }),
    ),
  code("nonsense"),
);
const acceptRa = (name: string) =>
  Deno.readTextFileSync(`/proc/sys/net/ipv6/conf/${name}/accept_ra`).trim();
assert.equal(acceptRa("device0"), "1", "the specification decides");
rtnetlink.change(netlink.setLink(device.index, { up: false }), "down");
rtnetlink.change(netlink.setLink(device.index, { mac: DEVICE_MAC }), "mac");
configureNetwork(
  host,
  request({ interfaces: [wanted], sysctls: { "net.ipv4.ip_unprivileged_port_start": "80" } }),
);

assert.equal(Deno.readTextFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start").trim(), "80");
assert(written.includes("/proc/sys/net/ipv6/conf/eth0/accept_dad=0"));
assert.equal(acceptRa("eth0"), "0");
const [lo, eth0] = ["lo", "eth0"].map((name) => links().find((each) => each.name === name)!);
assert(lo!.up);
assert.deepEqual([eth0!.up, eth0!.mac, eth0!.mtu], [true, "02:00:00:00:00:0a", 9000]);
const TENTATIVE = 0x40;
const addresses = rtnetlink.dump(netlink.dumpAddresses(), netlink.parseAddress, "addresses")
  .filter(({ index }) => index === eth0!.index);
assert(addresses.every(({ flags }) => (flags & TENTATIVE) === 0), "no address is tentative");
assert.deepEqual(
  addresses.filter(({ scope }) => scope === 0).map(({ address }) => address).sort(),
  [
    "10.88.0.2",
    "192.168.7.9",
    "fd00::2",
  ],
);
const gateways = rtnetlink.dump(netlink.dumpRoutes(), netlink.parseRoute, "routes")
  .filter(({ gateway }) => gateway !== null).map(({ gateway }) => gateway);
assert.deepEqual(gateways.sort(), ["169.254.1.1", "fd00::1"]);
Deno.exit(0);
