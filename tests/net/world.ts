/** The network beyond a test's host, and echo servers. */

import { sh } from "./network_testbed.ts";

/** Addresses of the world, and of the host on the link to it. */
export const WORLD = { ipv4: "192.0.2.2", ipv6: "2001:db8::2" } as const;
export const HOST = { ipv4: "192.0.2.1", ipv6: "2001:db8::1" } as const;
const NETNS = "world";

/**
 * Makes the world: a network namespace behind the host, which forwards packets to it. The world has
 * no route back to the containers' addresses.
 */
export async function world(): Promise<AsyncDisposable> {
  await sh(`ip netns add ${NETNS}; ip link add world0 type veth peer name uplink netns ${NETNS}
    ip addr add ${HOST.ipv4}/24 dev world0; ip addr add ${HOST.ipv6}/64 dev world0 nodad
    ip link set world0 up
    ip -n ${NETNS} addr add ${WORLD.ipv4}/24 dev uplink
    ip -n ${NETNS} addr add ${WORLD.ipv6}/64 dev uplink nodad
    ip -n ${NETNS} link set uplink up
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`);
  return {
    async [Symbol.asyncDispose]() {
      await sh(`ip netns del ${NETNS}; ip link del world0 2>/dev/null || true`);
    },
  };
}

/** Runs a shell command in the world. Returns what it prints. */
export async function inWorld(command: string): Promise<string> {
  return await sh(`ip netns exec ${NETNS} ${command}`);
}

/** Returns the arguments of four socat processes: echo at a port by TCP and UDP, IPv4 and IPv6. */
export function echoArguments(port: number): string[][] {
  return ["4", "6"].flatMap((version) => {
    const only = version === "6" ? ",ipv6only=1" : "";
    return [
      [`TCP${version}-LISTEN:${port}${only},reuseaddr,fork`, "EXEC:cat"],
      ["-b", "65000", `UDP${version}-LISTEN:${port}${only},reuseaddr,fork`, "EXEC:cat"],
    ];
  });
}

/** Starts echo servers on the host, in the world, and in other network namespaces. */
export function echoServers(port: number, ...others: readonly string[]): AsyncDisposable {
  const stack = new AsyncDisposableStack();
  for (const prefix of [[], ...[NETNS, ...others].map((name) => ["ip", "netns", "exec", name])]) {
    for (const words of echoArguments(port)) {
      const [program, ...args] = [...prefix, "socat", ...words];
      const options = { args, stdin: "null", stdout: "null", stderr: "null" } as const;
      const server = new Deno.Command(program!, options).spawn();
      stack.defer(async () => {
        server.kill("SIGTERM");
        await server.status;
      });
    }
  }
  return stack;
}
