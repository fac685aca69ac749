/**
 * The firewall rules of examples/nftables keep a VM from the host and the metadata service, and
 * nothing else. Router advertisements of another machine on its bridge change nothing in it.
 */

import assert from "node:assert/strict";
import { Client, runArguments } from "../lib/ctr.ts";
import { nameServer } from "./name_server.ts";
import { networkTest, sh } from "./network_testbed.ts";
import { echoServers, HOST, WORLD, world } from "./world.ts";

const RULES = new URL("../../examples/nftables/qemubox.nft", import.meta.url).pathname;
const PORT = 7;
const BRIDGE = "qemubox1";
const GATEWAY = { ipv4: "10.89.0.1", ipv6: "fd00:10:89::1" } as const;
const METADATA = { ipv4: "169.254.169.254", ipv6: "fd00:ec2::254" } as const;
/** Another machine on the bridge, as another VM is. */
const PEER = { ipv4: "10.89.200.2", ipv6: "fd00:10:89::c8" } as const;
/** Each is tried by one connection. */
const PLACES = {
  ...{ "gateway-ipv4": GATEWAY.ipv4, "gateway-ipv6": GATEWAY.ipv6, "host-ipv4": HOST.ipv4 },
  ...{ "host-ipv6": HOST.ipv6, "metadata-ipv4": METADATA.ipv4, "metadata-ipv6": METADATA.ipv6 },
  ...{ "peer-ipv4": PEER.ipv4, "peer-ipv6": PEER.ipv6 },
  ...{ "world-ipv4": WORLD.ipv4, "world-ipv6": WORLD.ipv6 },
};
/** These work with any rules. */
const INTENDED = [
  ...["name-server", "peer-ipv4", "peer-ipv6", "ping-ipv4", "ping-ipv6"],
  ...["world-ipv4", "world-ipv6"],
];

/** Prints what it reaches whenever it reads a line, and its IPv6 routes and addresses. */
const SCRIPT = `
  reach() { name=$1; shift; sh -c "$*" >/dev/null 2>&1 && echo $name >>/tmp/reached; }
  look() { ip -6 route; ip -6 -o addr show dev eth0; }
  cat /proc/sys/net/ipv6/conf/eth0/accept_ra
  look >/tmp/before
  nc -l -p 80 -e cat &
  echo ready
  while read round; do
    : >/tmp/reached
    (
${
  Object.entries(PLACES).map(([name, address]) => {
    return `reach ${name} 'echo x | nc -w 20 ${address} ${PORT} | grep x' &`;
  }).join("\n")
}
    reach name-server 'nslookup web.test ${GATEWAY.ipv4} | grep ${WORLD.ipv4}' &
    reach ping-ipv4 ping -c 1 -W 20 ${GATEWAY.ipv4} &
    reach ping-ipv6 ping -c 1 -W 20 ${GATEWAY.ipv6} &
    wait
    )
    sort /tmp/reached
    look | diff /tmp/before -
    echo "end of $round"
  done`;

/** A router advertisement (RFC 4861, 4.2): a default router, and a prefix to make addresses of. */
const ADVERTISEMENT = [
  ...[0x86, 0, 0, 0, 64, 0, 0x07, 0x08, ...Array(8).fill(0)],
  // Prefix information: 64 bits, on-link and autonomous, for an hour; 2001:db8:bad::
  ...[3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0],
  ...[0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xad, ...Array(10).fill(0)],
].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
/** IPV6_MULTICAST_HOPS: receivers ignore an advertisement that may have passed a router. */
const HOPS = "setsockopt-int=41:18:255";

/** Puts the metadata service into the world, and a machine on the bridge. */
async function surroundings(): Promise<AsyncDisposable> {
  await sh(`ip -n world addr add ${METADATA.ipv4}/32 dev uplink
    ip -n world addr add ${METADATA.ipv6}/128 dev uplink nodad
    ip route add ${METADATA.ipv4} via ${WORLD.ipv4}; ip route add ${METADATA.ipv6} via ${WORLD.ipv6}
    ip netns add peer; ip link add peer0 type veth peer name eth0 netns peer
    ip link set peer0 master ${BRIDGE} up
    ip netns exec peer sysctl -qw net.ipv6.conf.eth0.accept_dad=0
    ip -n peer addr add ${PEER.ipv4}/16 dev eth0
    ip -n peer addr add ${PEER.ipv6}/64 dev eth0 nodad; ip -n peer link set eth0 up`);
  return {
    async [Symbol.asyncDispose]() {
      await sh(`ip netns del peer; ip link del peer0 2>/dev/null || true
        nft delete table inet qemubox 2>/dev/null || true`);
    },
  };
}

networkTest(
  "the example's rules keep a VM from the host and the metadata service alone",
  ["dual-stack"],
  async ({ newId }) => {
    await using _world = await world();
    await using _surroundings = await surroundings();
    await using _servers = echoServers(PORT, "peer");
    using _names = await nameServer(GATEWAY.ipv4, WORLD.ipv4);
    const flags = ["--rm", "--annotation", "io.qemubox.networks=qemubox-dual"];
    await using client = new Client(
      runArguments(newId(), ["sh", "-c", SCRIPT], { flags }),
      { input: true },
    );
    await client.line("ready");
    assert.equal(client.said, "0\nready\n", "accept_ra");
    const reached = async (round: string) => {
      const before = client.said.length;
      await client.write(`${round}\n`);
      await client.line(`end of ${round}`);
      return client.said.slice(before).trim().split("\n").slice(0, -1);
    };
    assert.deepEqual(
      await reached("open"),
      [...Object.keys(PLACES), ...INTENDED]
        .filter((name, index, all) => all.indexOf(name) === index).toSorted(),
    );

    // Twice: loading them again replaces them.
    await sh(`nft -f ${RULES}; nft -f ${RULES}; ip neigh flush dev ${BRIDGE}`);
    await sh(`printf '${ADVERTISEMENT}' |
      ip netns exec peer socat -u - 'IP6-SENDTO:[ff02::1%eth0]:58,${HOPS}'`);
    assert.deepEqual(await reached("closed"), INTENDED);
    const [address] = (await sh(
      `find /var/lib/cni/networks/qemubox-dual -name '10.89.*' | sed 's/.*\\///'`,
    )).trim().split("\n");
    assert.equal(await sh(`echo to the VM | socat -t 20 - TCP:${address}:80`), "to the VM\n");
    await client.endInput();
    const { stderr } = await client.ended;
    assert.equal(stderr, "");
  },
);
