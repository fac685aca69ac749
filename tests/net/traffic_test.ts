/** Traffic from and to two containers on two networks, by both versions of IP. */

import assert from "node:assert/strict";
import { Client, ctr, runArguments } from "../lib/ctr.ts";
import { assertConfined } from "../lib/confined.ts";
import { qemuOf } from "../lib/sandbox_processes.ts";
import { HOST_PROGRAMS, SOCAT } from "../lib/host_programs.ts";
import { networkState, networkTest, sh, stateIs } from "./network_testbed.ts";
import { echoArguments, echoServers, HOST, inWorld, WORLD, world } from "./world.ts";

const PORT = 7;
const HOST_PORT = 17_007;
const TCP_BYTES = 3_000_000;
/** Larger than any frame. */
const UDP_BYTES = 12_000;
const GATEWAY = { ipv4: "10.89.0.1", ipv6: "fd00:10:89::1" } as const;
const FLAGS = [
  ...["--rm", "--mount", HOST_PROGRAMS],
  ...["--annotation", "io.qemubox.networks=qemubox-dual,qemubox-storage"],
];
const NETWORKS = ["dual-stack", "storage"];

/** Echoes what it receives, and prints its addresses on eth0 and eth1. */
const SERVER = `
  ${echoArguments(PORT).map((words) => `${SOCAT} ${words.join(" ")} &`).join("\n")}
  ip -o addr show scope global | sed -E 's/.* (eth.) +(inet6?) ([^/]*).*/\\1-\\2 \\3/'
  echo listening
  wait`;

/**
 * Returns a script that reports what does not come back from an echo server. UDP is retried: now
 * and then socat closes before it has read the answer (no packet is missing then in the counters of
 * either end).
 */
function probe(ipv4: string, ipv6: string): string {
  return [["4", ipv4], ["6", `[${ipv6}]`]].map(([version, host]) => {
    const bare = host!.replace(/[[\]]/g, "");
    return `
    ping -q -c 2 -W 10 -s 1452 ${bare} | grep -q " 2 packets received" || echo "${bare}: no ICMP"
    n=$(head -c ${TCP_BYTES} /dev/zero | ${SOCAT} -t 20 - TCP${version}:${host}:${PORT} | wc -c)
    test "$n" = ${TCP_BYTES} || echo "${bare}: $n bytes by TCP"
    for try in 1 2 3 4; do
      n=$(head -c ${UDP_BYTES} /dev/zero |
        ${SOCAT} -b 65000 -t 5 - UDP${version}:${host}:${PORT},readbytes=${UDP_BYTES} | wc -c)
      test "$n" != ${UDP_BYTES} || break
    done
    test "$n" = ${UDP_BYTES} || echo "${bare}: $n bytes by UDP"`;
  }).join("\n");
}

networkTest(
  "containers reach each other, the host and the world by TCP, UDP and ICMP, and with large frames",
  NETWORKS,
  async ({ newId }) => {
    await using _world = await world();
    await using _servers = echoServers(PORT);
    const before = networkState();
    const [serverId, clientId] = [newId(), newId()];
    const ports = `${HOST_PORT}:${PORT},${HOST_PORT}:${PORT}/udp`;
    const flags = [...FLAGS, "--annotation", `io.qemubox.port-mappings=${ports}`];
    await using server = new Client(runArguments(serverId, ["sh", "-c", SERVER], { flags }));
    await server.line("listening");
    assertConfined(qemuOf(serverId), serverId);
    const addresses = Object.fromEntries(
      server.said.trim().split("\n").slice(0, -1).map((line) => line.split(" ")),
    );
    const [ipv4, ipv6, large] = ["eth0-inet", "eth0-inet6", "eth1-inet"].map((n) => addresses[n]!);
    const script = `
      ${probe(ipv4!, ipv6!)}
      ${probe(GATEWAY.ipv4, GATEWAY.ipv6)}
      ${probe(WORLD.ipv4, WORLD.ipv6)}
      # 9000 bytes with the headers, and not in pieces
      ping -q -c 2 -W 10 -s 8972 ${large} | grep -q " 2 packets received" || echo "no large frames"
      cat /sys/class/net/eth1/mtu
      echo done`;
    const { stdout, stderr } = await ctr(
      ...runArguments(clientId, ["sh", "-c", script], { flags: FLAGS }),
    );
    assert.deepEqual({ stdout, stderr }, { stdout: "9000\ndone\n", stderr: "" });

    const echoes = async (run: (command: string) => Promise<string>, address: string) => {
      const command = `sh -c 'echo hello | socat -t 5 - ${address},readbytes=6'`;
      const tries = address.startsWith("UDP") ? 4 : 1;
      for (let left = tries; left > 0; left--) if (await run(command) === "hello\n") return;
      assert.fail(`${address} does not echo`);
    };
    await echoes(sh, `TCP4:${ipv4}:${PORT}`);
    await echoes(sh, `TCP6:[${ipv6}]:${PORT}`);
    await echoes(inWorld, `TCP4:${HOST.ipv4}:${HOST_PORT}`);
    await echoes(inWorld, `UDP4:${HOST.ipv4}:${HOST_PORT}`);
    await echoes(inWorld, `TCP6:[${HOST.ipv6}]:${HOST_PORT}`);
    await echoes(inWorld, `UDP6:[${HOST.ipv6}]:${HOST_PORT}`);

    await ctr("task", "kill", "-s", "SIGKILL", serverId);
    await server.ended;
    await stateIs(before);
  },
);
