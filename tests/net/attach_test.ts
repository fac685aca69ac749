/** Attaches networks of examples/cni with Debian's own plugins, without a VM. */

import assert from "node:assert/strict";
import { AttachmentStore, NetworkError } from "../../net/mod.ts";
import { patience, until } from "../lib/wait.ts";
import {
  joinNetworks,
  lines,
  networkState,
  networkTest,
  stateIs,
  STORE,
} from "./network_testbed.ts";

const AT_ONCE = 20;
const SOCKET_WITHIN_MS = patience(10_000);

networkTest(
  "twenty sandboxes at once get different addresses of both IP versions",
  ["dual-stack"],
  async () => {
    const before = networkState();
    const joined = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) => joinNetworks(`many${index}`, "qemubox-dual")),
    );
    const guests = await Promise.all(joined.map((each) => each.connect()));
    const addresses = guests.flatMap(({ interfaces }) =>
      interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address))
    );
    assert.equal(new Set(addresses).size, AT_ONCE * 2);
    const macs = new Set(guests.map(({ interfaces }) => interfaces[0]!.mac));
    assert.equal(macs.size, AT_ONCE);
    for (const each of joined) await each[Symbol.asyncDispose]();
    await stateIs(before);
  },
);

networkTest("each of several networks becomes an interface with its own address and MTU", [
  "default",
  "storage",
  "static",
], async () => {
  await using joined = await joinNetworks("several", "qemubox-net,qemubox-storage,qemubox-static");
  const { interfaces, resolver } = await joined.connect();
  assert.deepEqual(interfaces.map(({ name, mtu }) => [name, mtu]), [
    ["eth0", 1500],
    ["eth1", 9000],
    ["eth2", 1500],
  ]);
  assert.match(interfaces[0]!.addresses[0]!.address, /^10\.88\./);
  assert.match(interfaces[1]!.addresses[0]!.address, /^10\.92\./);
  assert.equal(interfaces[2]!.addresses[0]!.address, "10.90.0.10");
  assert.deepEqual(resolver.nameservers, ["10.90.0.1"]);
  assert.equal(new Set(interfaces.map(({ deviceMac }) => deviceMac)).size, 3);
});

networkTest("a macvlan needs no bridge", ["macvlan"], async () => {
  lines(
    "ip link add master0 type veth peer name master1; ip link set master0 up; ip link set master1 up",
  );
  try {
    await using joined = await joinNetworks("macvlan", "qemubox-macvlan");
    const [eth0] = (await joined.connect()).interfaces;
    assert.equal(eth0!.addresses[0]!.address, "10.91.0.100");
    assert.equal(eth0!.routes[0]!.gateway, "10.91.0.1");
  } finally {
    lines("ip link del master0");
  }
}, (text) => text.replace('"eth0"', '"master0"'));

networkTest("a network that fails is undone and reports why", ["default"], async () => {
  const attempts: Record<string, [edit: (text: string) => string, message: RegExp]> = {
    "a plugin that is not there": [
      (text) => text.replace('"firewall"', '"no-such-plugin"'),
      /no-such-plugin of network qemubox-net is not in \/usr\/lib\/cni/,
    ],
    "addresses that have run out": [
      (text) =>
        text.replace('"subnet"', '"rangeStart": "10.88.0.9", "rangeEnd": "10.88.0.9", "subnet"'),
      /no IP addresses available.*\/var\/lib\/cni\/networks\/qemubox-net/,
    ],
    "a configuration that is not JSON": [() => "{", /default\.conflist is not JSON/],
  };
  const path = "/etc/cni/net.d/default.conflist";
  const good = Deno.readTextFileSync(path);
  for (const [what, [edit, message]] of Object.entries(attempts)) {
    const before = networkState();
    Deno.writeTextFileSync(path, edit(good));
    const joined: AsyncDisposable[] = [];
    await assert.rejects(async () => {
      // The first sandbox takes the only address.
      for (const id of ["a", "b"]) {
        const network = await joinNetworks(id, "qemubox-net");
        joined.push(network);
        await network.connect();
      }
    }, (error) => {
      assert(error instanceof NetworkError, `${what}: ${error}`);
      assert.match(error.message, message);
      return true;
    });
    for (const each of joined) await each[Symbol.asyncDispose]();
    await stateIs(before);
    Deno.writeTextFileSync(path, good);
  }
  await using again = await joinNetworks("a", "qemubox-net");
  await again.connect();
});

networkTest("a network needs neither ip(8) nor tc(8)", ["storage"], async () => {
  const path = Deno.env.get("PATH")!;
  Deno.env.set("PATH", "/none");
  try {
    await using joined = await joinNetworks("by-itself", "qemubox-storage");
    await joined.connect();
  } finally {
    Deno.env.set("PATH", path);
  }
});

networkTest("an aborted attachment is undone", ["default"], async () => {
  const aborting = new AbortController();
  const before = networkState();
  const joined = await joinNetworks("off", "qemubox-net", { signal: aborting.signal });
  const connected = joined.connect();
  setTimeout(() => aborting.abort(new Error("called off")), 30);
  await assert.rejects(connected, /called off/);
  await joined[Symbol.asyncDispose]();
  await stateIs(before);
});

networkTest("what a sandbox of the same name left is detached first", ["default"], async () => {
  const left = await joinNetworks("twice", "qemubox-net");
  const { interfaces: [first] } = await left.connect();
  {
    using store = AttachmentStore.open(STORE);
    assert.equal(store.list({ namespace: "test", id: "twice" }).length, 1);
  }
  // As after a crash: nothing disposes the first, whose namespace still exists.
  await using joined = await joinNetworks("twice", "qemubox-net");
  const { interfaces: [second] } = await joined.connect();
  assert.notEqual(first!.mac, second!.mac);
});

networkTest("an attachment is undone at each failing system call", ["default"], async () => {
  const rig = new URL("./fault_rig.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-lock", "--allow-all", rig],
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(code, 0, decode(stdout) + decode(stderr));
});

networkTest("an address comes by DHCP from the bridge's network", ["dhcp"], async () => {
  // The frame's failed attempt before the test has made the bridge.
  lines("ip addr add 10.93.0.1/24 dev qemubox3; ip link set qemubox3 up; mkdir -p /run/cni");
  Deno.writeTextFileSync(
    "/tmp/udhcpd.conf",
    "start 10.93.0.50\nend 10.93.0.60\ninterface qemubox3\nlease_file /tmp/udhcpd.leases\n" +
      "opt subnet 255.255.255.0\nopt router 10.93.0.1\n",
  );
  Deno.writeTextFileSync("/tmp/udhcpd.leases", "");
  const start = (command: string, ...args: string[]) =>
    new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  await using server = start("busybox", "udhcpd", "-f", "/tmp/udhcpd.conf");
  await using daemon = start("/usr/lib/cni/dhcp", "daemon");
  await until("socket of the DHCP daemon", SOCKET_WITHIN_MS, () => {
    return lines("ls /run/cni/dhcp.sock 2>/dev/null").length > 0 || null;
  });
  {
    await using joined = await joinNetworks("dhcp", "qemubox-dhcp");
    const [eth0] = (await joined.connect()).interfaces;
    assert.match(eth0!.addresses[0]!.address, /^10\.93\.0\.(5\d|60)$/);
  }
  for (const each of [server, daemon]) each.kill("SIGKILL");
  Deno.removeSync("/run/cni/dhcp.sock");
});
