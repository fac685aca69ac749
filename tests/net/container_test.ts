/** Containers in VMs on networks of examples/cni. */

import assert from "node:assert/strict";
import { AttachmentStore, parseConf } from "../../net/mod.ts";
import { forceRemove } from "../lib/containers.ts";
import { BUSYBOX, Client, ctr, RUNTIME } from "../lib/ctr.ts";
import { kill, shimOf } from "../lib/sandbox_processes.ts";
import { logLines } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";
import { nameServer } from "./name_server.ts";
import { inWorld, world } from "./world.ts";
import {
  CONF_DIR,
  hasTapPlugin,
  lines,
  networkState,
  networkTest,
  sh,
  stateIs,
  STORE,
} from "./network_testbed.ts";

const SEEN_WITHIN_MS = patience(60_000);

function run(id: string, flags: string[], script: string): string[] {
  return ["run", "--rm", "--runtime", RUNTIME, ...flags, BUSYBOX, id, "sh", "-c", script];
}

/** The real plugin is in no Debian package: see network_testbed.ts. */
const TAP_PLUGIN = hasTapPlugin() ? "tc-redirect-tap" : "a stand-in for tc-redirect-tap";

/** Makes it the default network of containers, with a name server on the bridge. */
const asNet = (text: string) =>
  text.replace('"qemubox-dual"', '"qemubox-net"')
    .replace('"isGateway"', '"dns": { "nameservers": ["10.89.0.1"] }, "isGateway"');

networkTest("a container reaches the host and the world by both IP versions, and is reached", [
  "dual-stack",
], async ({ newId }) => {
  await using _world = await world();
  const before = networkState();
  leaveOrphan();
  const script = `
    set -e
    test "$(cat /etc/resolv.conf)" = "nameserver 10.89.0.1"
    nslookup web.test | grep -q 192.0.2.2 || echo "no answer from the name server"
    grep -q "$(hostname)" /etc/hosts && test "$(cat /etc/hostname)" = "$(hostname)"
    ping -c 1 -W 5 127.0.0.1 >/dev/null
    for host in 10.89.0.1 fd00:10:89::1 192.0.2.2 2001:db8::2; do
      # 1500 bytes with the headers
      ping -c 2 -W 10 -s 1452 $host | grep -q "2 packets received" || echo "no answer from $host"
    done
    echo listening
    nc -l -p 80 -e sh -c "head -c 1000000 /dev/zero; sha256sum /etc/passwd >/dev/null"
    echo done`;
  using _names = await nameServer("10.89.0.1", "192.0.2.2");
  const id = newId();
  const ports = ["--annotation", "io.qemubox.port-mappings=18080:80"];
  await using client = new Client(run(id, ports, script));
  await client.line("listening");
  const bytes = await inWorld("socat -u TCP:192.0.2.1:18080,retry=100,interval=0.1 - | wc -c");
  assert.equal(Number(bytes), 1_000_000);
  const { code, stdout, stderr } = await client.ended;
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "listening\ndone\n", stderr: "" });
  await stateIs(before);
}, asNet);

networkTest(
  "a container takes all interfaces of an existing namespace, and leaves them as they were",
  [],
  async ({ newId }) => {
    await sh(`ip netns add pod
    for n in 0 1; do
      ip link add pod$n mtu 9000 type veth peer name eth$n mtu 9000 netns pod
      ip addr add 10.77.$n.1/24 dev pod$n; ip link set pod$n up
      ip -n pod addr add 10.77.$n.2/24 dev eth$n; ip -n pod link set eth$n up
    done
    ip -n pod link set lo up
    ip -n pod route add default via 10.77.0.1`);
    try {
      const script = `ip -o link | cut -d' ' -f2; ip route | grep default
      for host in 10.77.0.1 10.77.1.1; do ping -q -c 2 -W 10 -s 8972 $host | grep received; done`;
      const { code, stdout, stderr } = await ctr(
        ...run(newId(), ["--with-ns", "network:/run/netns/pod"], script),
      );
      assert.equal(stderr, "");
      assert.deepEqual(stdout.trim().split("\n"), [
        "lo:",
        "eth0:",
        "eth1:",
        "default via 10.77.0.1 dev eth0 ",
        "2 packets transmitted, 2 packets received, 0% packet loss",
        "2 packets transmitted, 2 packets received, 0% packet loss",
      ]);
      assert.equal(code, 0);
      assert.deepEqual(lines("ip netns exec pod tc qdisc show | grep ingress"), []);
      assert.deepEqual(lines("ip -n pod -o link | grep tap"), []);
    } finally {
      await sh("ip netns del pod");
    }
  },
);

networkTest("a killed shim leaves nothing on the network once its task is deleted", [
  "default",
], async ({ newId }) => {
  const before = networkState();
  const id = newId();
  const flags = ["-d", "--runtime", RUNTIME];
  const { code, stderr } = await ctr("run", ...flags, BUSYBOX, id, "sleep", "1000");
  assert.equal(code, 0, stderr);
  assert.notDeepEqual(networkState(), before);
  kill(shimOf(id), "SIGKILL");
  await forceRemove(id);
  await stateIs(before);
});

networkTest(
  "a network that cannot be joined is refused with a reason, and leaves nothing",
  ["default"],
  async ({ newId }) => {
    const refused = async (flags: string[], message: RegExp) => {
      const before = networkState();
      const id = newId();
      const { code, stderr } = await ctr(...run(id, flags, "true"));
      assert.notEqual(code, 0);
      assert.match(stderr, message);
      await ctr("container", "rm", id);
      await stateIs(before);
    };
    await refused(
      ["--net-host"],
      /has no network namespace \(--net-host, hostNetwork\), but a container in a VM/,
    );
    const networks = (names: string) => ["--annotation", `io.qemubox.networks=${names}`];
    await refused(networks("elsewhere"), /network elsewhere is not in \/etc\/cni\/net\.d/);
    await refused(networks("a b"), /annotation io\.qemubox\.networks="a b" must be/);
    const path = `${CONF_DIR}/default.conflist`;
    const good = Deno.readTextFileSync(path);
    Deno.writeTextFileSync(path, good.replace('"portmap"', '"crashes"'));
    // At the second position of the chain, when there is an address already.
    Deno.writeTextFileSync("/usr/lib/cni/crashes", CRASHES, { mode: 0o755 });
    try {
      await refused(
        [],
        /CNI plugin crashes of network qemubox-net was killed by signal 11 during ADD/,
      );
    } finally {
      Deno.removeSync("/usr/lib/cni/crashes");
      Deno.writeTextFileSync(path, good);
    }
  },
);

networkTest("without a network there is loopback only", ["default"], async ({ newId }) => {
  const script =
    "ip -o link | cut -d' ' -f2; ping -c 1 -W 5 127.0.0.1 | grep received; ls /etc/resolv.conf";
  const { stdout } = await ctr(
    ...run(newId(), ["--annotation", "io.qemubox.networks=none"], script),
  );
  assert.deepEqual(stdout.trim().split("\n"), [
    "lo:",
    "1 packets transmitted, 1 packets received, 0% packet loss",
  ]);
});

networkTest(
  "without an installed network a container has loopback only, and the log says why",
  [],
  async ({ newId }) => {
    const id = newId();
    const { stdout } = await ctr(...run(id, [], "ip -o link | cut -d' ' -f2"));
    assert.equal(stdout, "lo:\n");
    const [warning] = logLines(id).filter((line) => line.includes("no CNI network"));
    assert.match(
      warning!,
      /level=warning .*no CNI network qemubox-net in \/etc\/cni\/net\.d.*CNI_SETUP/,
    );
  },
);

networkTest(
  "chains without a bridge work: ptp, and Calico's veth with a gateway on the link",
  [],
  async ({ newId }) => {
    const ipam = { type: "host-local", ranges: [[{ subnet: "10.94.0.0/24" }]] };
    const write = (name: string, plugin: object) =>
      Deno.writeTextFileSync(
        `${CONF_DIR}/${name}.conflist`,
        JSON.stringify({ cniVersion: "1.0.0", name, plugins: [plugin] }),
      );
    write("ptp-net", { type: "ptp", ipam });
    write("veth-net", { type: "veth-only" });
    Deno.writeTextFileSync("/usr/lib/cni/veth-only", VETH_ONLY, { mode: 0o755 });
    await sh("ip addr add 10.95.255.1/32 dev lo");
    const before = networkState();
    try {
      const script = "ip route; for host in 10.95.255.1 10.94.0.1; do " +
        "ping -q -c 2 -W 10 $host | grep received; done";
      const networks = ["--annotation", "io.qemubox.networks=veth-net,ptp-net"];
      const { stdout, stderr } = await ctr(...run(newId(), networks, script));
      assert.equal(stderr, "");
      assert.deepEqual(stdout.trim().split("\n").map((line) => line.trim()), [
        "default via 169.254.1.1 dev eth0",
        "10.94.0.0/24 via 10.94.0.1 dev eth1  src 10.94.0.2",
        "10.94.0.1 dev eth1 scope link  src 10.94.0.2",
        "169.254.1.1 dev eth0 scope link",
        "2 packets transmitted, 2 packets received, 0% packet loss",
        "2 packets transmitted, 2 packets received, 0% packet loss",
      ]);
      await stateIs(before);
    } finally {
      await sh("ip addr del 10.95.255.1/32 dev lo; rm /usr/lib/cni/veth-only");
    }
  },
);

networkTest(
  `the VM uses the tap that ${TAP_PLUGIN} makes`,
  ["tc-redirect-tap"],
  async ({ newId }) => {
    const before = networkState();
    const id = newId();
    const script = "ping -q -c 2 -W 10 10.88.0.1 | grep received; echo ready; sleep 1000";
    await using client = new Client(run(id, [], script));
    await client.line("2 packets transmitted, 2 packets received, 0% packet loss");
    const taps = lines(
      `nsenter --net=/run/qemubox/netns/default--${id} ip -o link | grep -o "tap[0-9]*"`,
    );
    assert.deepEqual([...new Set(taps)], ["tap0"], "no second one");
    await ctr("task", "kill", "-s", "SIGKILL", id);
    await client.ended;
    await stateIs(before);
  },
);

networkTest(
  "a shim killed while a plugin runs leaves neither the plugin nor its effects",
  ["default"],
  async ({ newId }) => {
    const before = networkState();
    const path = `${CONF_DIR}/default.conflist`;
    Deno.writeTextFileSync(path, Deno.readTextFileSync(path).replace('"portmap"', '"sleeps"'));
    const marker = "31415926";
    const script = `#!/bin/sh\ntest $CNI_COMMAND != ADD || sleep ${marker}\n`;
    Deno.writeTextFileSync("/usr/lib/cni/sleeps", script, { mode: 0o755 });
    try {
      const id = newId();
      await using client = new Client(run(id, [], "true"));
      await until("the plugin", SEEN_WITHIN_MS, () => {
        return lines(`pgrep -x -f "sleep ${marker}"`).length > 0 || null;
      });
      kill(shimOf(id), "SIGKILL");
      const { code } = await client.ended;
      assert.notEqual(code, 0);
      await forceRemove(id);
      await stateIs(before);
      assert.deepEqual(lines(`pgrep -x -f "sleep ${marker}"`), []);
    } finally {
      Deno.removeSync("/usr/lib/cni/sleeps");
    }
  },
);

const CRASHES = `#!/bin/sh
test $CNI_COMMAND != ADD || kill -SEGV $$
`;

/** Does what Calico's plugin does, in short: the gateway is only a neighbour. */
const VETH_ONLY = `#!/bin/sh
set -e
address=10.95.0.2
case $CNI_COMMAND in
ADD)
  ip link add veth95 type veth peer name peer95
  nsenter --net=$CNI_NETNS sleep 5 & inside=$!
  while [ "$(readlink /proc/$inside/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
  ip link set peer95 netns $inside
  nsenter --net=$CNI_NETNS sh -ec "
    ip link set peer95 name $CNI_IFNAME; ip link set $CNI_IFNAME up
    ip addr add $address/32 dev $CNI_IFNAME
    ip neigh add 169.254.1.1 lladdr $(cat /sys/class/net/veth95/address) dev $CNI_IFNAME
    ip route add 169.254.1.1 dev $CNI_IFNAME scope link; ip route add default via 169.254.1.1"
  kill $inside
  ip link set veth95 up
  ip route add $address dev veth95
  echo '{"cniVersion":"1.0.0","interfaces":[{"name":"'$CNI_IFNAME'","sandbox":"'$CNI_NETNS'"}],'
  echo '"ips":[{"address":"'$address'/32","interface":0}]}'
  ;;
DEL) ip link del veth95 2>/dev/null || true ;;
esac
`;

/** Leaves a row as a reboot does: no lease, no namespace, an address still taken. */
function leaveOrphan(): void {
  const conf = parseConf(
    Deno.readTextFileSync(`${CONF_DIR}/dual-stack.conflist`),
    `${CONF_DIR}/dual-stack.conflist`,
  );
  const owner = { namespace: "default", id: "before-reboot" };
  const containerId = "default--before-reboot";
  using store = AttachmentStore.open(STORE);
  store.intend(owner, {
    conf,
    containerId,
    netns: `/run/qemubox/netns/${containerId}`,
    ifname: "eth0",
    capabilityArgs: {},
  });
  Deno.writeTextFileSync(
    "/var/lib/cni/networks/qemubox-net/10.89.77.7",
    `${containerId}\r\neth0`,
  );
}
