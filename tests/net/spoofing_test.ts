/** What a VM may send: its own MAC and IP addresses alone, unless spoofing is allowed. */

import assert from "node:assert/strict";
import { system } from "../../ffi/mod.ts";
import type { SandboxNetwork } from "../../net/mod.ts";
import { Client, runArguments } from "../lib/ctr.ts";
import { HOST_PROGRAMS, SOCAT } from "../lib/host_programs.ts";
import { logLines } from "../lib/testbed.ts";
import { type End, FrameCapture, honestFrames, spoofedFrames } from "./frame_capture.ts";
import { joinNetworks, lines, networkTest, sh } from "./network_testbed.ts";

/** struct virtio_net_hdr, before each frame that a tap is given. */
const VNET_HEADER_BYTES = 10;
const OTHER: End = {
  mac: "02:00:00:00:77:77",
  ipv4: "10.89.77.77",
  ipv6: "fd00:10:89::7777",
  linkLocal: "fe80::ff:fe00:7777",
};

/**
 * Sends frames as the guest would. Returns the marks of those that arrive at the host's end of its
 * link: a bridge itself would drop invalid ones.
 *
 * @param end its name; null: the only port of a bridge is it.
 */
async function arrivals(joined: SandboxNetwork, end: string | null): Promise<string[]> {
  const { interfaces: [guest] } = await joined.connect();
  const addresses = guest!.addresses.map(({ address }) => address);
  const self: End = {
    mac: guest!.mac,
    ipv4: addresses.find((address) => !address.includes(":"))!,
    ipv6: addresses.find((address) => address.includes(":")) ?? null,
    linkLocal: linkLocalOf(guest!.mac),
  };
  const honest = honestFrames(self);
  const spoofed = spoofedFrames(self, OTHER);
  const send = (frame: Uint8Array) => {
    const bytes = new Uint8Array(VNET_HEADER_BYTES + frame.length);
    bytes.set(frame, VNET_HEADER_BYTES);
    assert.equal(system.write(joined.nics[0]!.tap, bytes), bytes.length);
  };
  const { "honest-ipv4": last, "honest-arp": first, ...others } = honest;
  const [port, ...more] = lines("ls -d /sys/class/net/*/brport | cut -d/ -f5");
  assert(end !== null || more.length === 0);
  await using capture = new FrameCapture(end ?? port!);
  await capture.received("honest-arp", () => send(first!));
  for (const frame of [...Object.values(spoofed), ...Object.values(others)]) send(frame);
  await capture.received("honest-ipv4", () => send(last!));
  return capture.marks([...Object.keys(honest), ...Object.keys(spoofed)]);
}

const HONEST = Object.keys(honestFrames(OTHER));
const SPOOFED = Object.keys(spoofedFrames(OTHER, OTHER));

function linkLocalOf(mac: string): string {
  const [a, b, c, d, e, f] = mac.split(":").map((byte) => parseInt(byte, 16));
  const group = (high: number, low: number) => (high << 8 | low).toString(16);
  return `fe80::${group(a! ^ 2, b!)}:${group(c!, 0xff)}:${group(0xfe, d!)}:${group(e!, f!)}`;
}

networkTest("only frames from a sandbox's own addresses leave its tap, and others are counted", [
  "dual-stack",
], async () => {
  const warnings: string[] = [];
  {
    const warn = (line: string) => warnings.push(line);
    await using joined = await joinNetworks("denied", "qemubox-dual", { warn });
    assert.deepEqual(await arrivals(joined, null), HONEST);
  }
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0]!,
    new RegExp(`^${SPOOFED.length} frames that the VM sent through qtap0 were dropped`),
  );
});

networkTest("spoofing: allow lets everything leave", ["dual-stack"], async () => {
  await using joined = await joinNetworks("allowed", "qemubox-dual", { spoofing: "allow" });
  assert.deepEqual(await arrivals(joined, null), [...HONEST, ...SPOOFED]);
});

networkTest("the tap of tc-redirect-tap is guarded too", ["tc-redirect-tap"], async () => {
  await using joined = await joinNetworks("plugin", "qemubox-net");
  assert.deepEqual(await arrivals(joined, null), HONEST);
});

networkTest("interfaces of an existing namespace are guarded by their addresses", [], async () => {
  await sh(`ip netns add guarded
    for n in 0 1; do
      ip link add out$n type veth peer name eth$n netns guarded; ip link set out$n up
      ip -n guarded link set eth$n up
    done
    ip -n guarded addr add 10.78.0.2/24 dev eth0
    # The largest program.
    seq 63 | sed "s/.*/addr add fd00:78::&\\/64 dev eth0 nodad/" | ip -n guarded -batch -`);
  const warnings: string[] = [];
  try {
    await using joined = await joinNetworks("existing", "", {
      netns: "/run/netns/guarded",
      warn: (line) => warnings.push(line),
    });
    assert.deepEqual(await arrivals(joined, "out0"), HONEST);
  } finally {
    await sh("ip netns del guarded");
  }
  assert.equal(warnings.length, 2);
  assert.match(warnings[0]!, /^interface eth1 has no IP address .* checked by MAC address alone/);
});

/** Size of each frame of a file: socat reads as much at a time, and sends it as one frame. */
const FRAME_BYTES = 200;
const GATEWAY = "10.89.0.1";

networkTest(
  "a VM cannot take another's addresses or poison its neighbors",
  ["dual-stack"],
  async ({ newId }) => {
    using directory = temporaryDirectory();
    const network = ["--rm", "--annotation", "io.qemubox.networks=qemubox-dual"];
    const describe = "cat /sys/class/net/eth0/address; " +
      "ip -o addr show dev eth0 | sed -E 's/.* inet6? ([^/]*).*/\\1/'; echo ready";
    const started = async (script: string, flags: string[]) => {
      const id = newId();
      const client = new Client(runArguments(id, ["sh", "-c", script], { flags }));
      await client.line("ready");
      return { id, client, self: endOf(client.said) };
    };
    const look =
      `{ ip -6 route; ip neigh | grep "^${GATEWAY} " | grep -o "lladdr [^ ]*" || echo unknown; }`;
    const victim = await started(
      `ping -q -c 1 -W 10 ${GATEWAY} >/dev/null; ${describe}
      ${look} >/tmp/before; while [ ! -e /shared/done ]; do sleep 1; done
      ${look} | diff /tmp/before - && echo unchanged`,
      [...network, "--mount", `type=bind,src=${directory.path},dst=/shared,options=rbind:ro`],
    );
    await using _victim = victim.client;
    const attacker = await started(
      `${describe}; while [ ! -e /shared/go ]; do sleep 1; done
      ${SOCAT} -u -b ${FRAME_BYTES} OPEN:/shared/frames INTERFACE:eth0
      lost() { ping -q -c 1 -W 2 "$@" | grep -q "100% packet loss" && echo "lost as $2"; }
      ip addr add ${victim.self.ipv4}/32 dev eth0
      lost -I ${victim.self.ipv4} ${GATEWAY}
      mac=$(cat /sys/class/net/eth0/address)
      ip link set eth0 address ${victim.self.mac}; lost -c 1 ${GATEWAY}
      ip link set eth0 address $mac
      ping -q -c 1 -W 10 ${GATEWAY} | grep received`,
      [
        ...[...network, "--cap-add", "CAP_NET_ADMIN", "--mount", HOST_PROGRAMS],
        ...["--mount", `type=bind,src=${directory.path},dst=/shared,options=rbind:ro`],
      ],
    );
    await using _attacker = attacker.client;

    const neighbors = () => lines(`ip neigh show to ${victim.self.ipv4} | grep -o "lladdr [^ ]*"`);
    const ports = () => lines(`bridge fdb show br qemubox1 | grep ^${victim.self.mac}`);
    const portOf = (mac: string) =>
      lines(`bridge fdb show br qemubox1 | grep ^${mac} | cut -d" " -f3`)[0]!;
    const before = [neighbors(), ports()];
    assert.deepEqual(before[0], [`lladdr ${victim.self.mac}`]);
    assert.equal(before[1]!.length, 1);
    await using capture = new FrameCapture(portOf(attacker.self.mac));
    const frames = {
      ...spoofedFrames(attacker.self, victim.self),
      ...honestFrames(attacker.self),
    };
    Deno.writeFileSync(`${directory.path}/frames`, fileOf(Object.values(frames)));
    await capture.started();
    Deno.writeTextFileSync(`${directory.path}/go`, "");
    const { stdout, stderr } = await attacker.client.ended;
    assert.equal(stderr, "");
    assert.deepEqual(stdout.split("ready\n")[1]!.trim().split("\n"), [
      `lost as ${victim.self.ipv4}`,
      "lost as 1",
      "1 packets transmitted, 1 packets received, 0% packet loss",
    ]);
    assert.deepEqual(capture.marks([...HONEST, ...SPOOFED]), HONEST);
    assert.deepEqual([neighbors(), ports()], before);
    Deno.writeTextFileSync(`${directory.path}/done`, "");
    const seen = await victim.client.ended;
    assert.deepEqual([seen.stderr, seen.stdout.split("ready\n")[1]], ["", "unchanged\n"]);
    const dropped = (id: string) => logLines(id).filter((line) => line.includes("were dropped"));
    assert.equal(dropped(attacker.id).length, 1);
    assert.deepEqual(dropped(victim.id), []);
  },
);

function fileOf(frames: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(frames.length * FRAME_BYTES);
  for (const [index, frame] of frames.entries()) bytes.set(frame, index * FRAME_BYTES);
  return bytes;
}

/** Reads the MAC address and the IP addresses that a container prints, one a line. */
function endOf(said: string): End {
  const [mac, ...addresses] = said.split("ready\n")[0]!.trim().split("\n");
  return {
    mac: mac!,
    ipv4: addresses.find((address) => !address.includes(":"))!,
    ipv6: addresses.find((address) => address.startsWith("fd")) ?? null,
    linkLocal: addresses.find((address) => address.startsWith("fe80"))!,
  };
}

function temporaryDirectory(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync();
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}
