import { BenchNetwork, BRIDGE_ADDRESS } from "./bench_network.ts";
import { isThere } from "../../base/mod.ts";
import { hidden } from "./hidden_file.ts";
import type { Measure, Values } from "./measure.ts";
import { Rootfs, run, ShimContainer } from "./shim_container.ts";
import { type Connect, speedFrom, speedTo } from "./tcp_peer.ts";

/** Without a VM the transfer is twenty times as fast, and fewer bytes would measure noise. */
const BYTES = { vm: 32 * 1024 * 1024, netns: 512 * 1024 * 1024 } as const;
/** Turns with each kind, after one that only warms up. */
const TURNS = 3;
const ROUNDS_MAX = 3;
const VHOST_NET = "/dev/vhost-net";

/**
 * TCP from a container to its host and back, over its tap, the redirect, the veth and the bridge,
 * against the same `socat` in a network namespace on the same bridge.
 */
export const network: Measure = {
  name: "network",
  rows: { "net-out": "MB/s", "net-in": "MB/s", "netns-out": "MB/s", "netns-in": "MB/s" },
  roundsMax: ROUNDS_MAX,
  async run() {
    await using bridge = await BenchNetwork.make();
    const inNetns = (args: readonly string[]) =>
      run("nsenter", [`--net=${bridge.netns}`, "socat", ...args]);
    return await onContainer(bridge, async (inVm) => {
      const values = { "net-out": [], "net-in": [], "netns-out": [], "netns-in": [] } as {
        [row in "net-out" | "net-in" | "netns-out" | "netns-in"]: number[];
      };
      for (let turn = 0; turn <= TURNS; turn++) {
        const vm = await bothWays(BYTES.vm, inVm);
        const netns = await bothWays(BYTES.netns, inNetns);
        if (turn === 0) continue;
        values["net-out"].push(vm.out);
        values["net-in"].push(vm.in);
        values["netns-out"].push(netns.out);
        values["netns-in"].push(netns.in);
      }
      return values;
    });
  },
};

/** The same without vhost-net, where the host has it: QEMU carries each packet itself. */
export const networkNoVhost: Measure = {
  name: "network-no-vhost",
  rows: { "net-out-no-vhost": "MB/s", "net-in-no-vhost": "MB/s" },
  roundsMax: ROUNDS_MAX,
  async run() {
    if (!isThere(VHOST_NET)) return {};
    await using bridge = await BenchNetwork.make();
    await using _hidden = await hidden(VHOST_NET);
    return await onContainer(bridge, async (inVm) => {
      const values = { "net-out-no-vhost": [] as number[], "net-in-no-vhost": [] as number[] };
      for (let turn = 0; turn <= TURNS; turn++) {
        const vm = await bothWays(BYTES.vm, inVm);
        if (turn === 0) continue;
        values["net-out-no-vhost"].push(vm.out);
        values["net-in-no-vhost"].push(vm.in);
      }
      return values;
    });
  },
};

/** Runs a socat until it exits. */
type Socat = (args: readonly string[]) => Promise<unknown>;

async function onContainer(
  { environment }: BenchNetwork,
  work: (inVm: Socat) => Promise<Values>,
): Promise<Values> {
  using rootfs = new Rootfs();
  rootfs.add("/usr/bin/socat");
  const args = ["/bin/sleep", "3600"];
  await using container = await ShimContainer.prepare({ rootfs, args, environment });
  await container.start();
  await container.create();
  await container.task.start({ id: container.id });
  const values = await work((args) => container.exec(["/bin/socat", ...args]));
  await container.kill();
  await container.delete();
  await container.shutdown();
  return values;
}

async function bothWays(bytes: number, socat: Socat): Promise<{ out: number; in: number }> {
  const block = ["-u", "-b", "131072"];
  const host = (port: number) => `TCP4:${BRIDGE_ADDRESS}:${port}`;
  const send: Connect = (port) => socat([...block, `/dev/zero,readbytes=${bytes}`, host(port)]);
  const take: Connect = (port) => socat([...block, host(port), "/dev/null"]);
  return { out: await speedFrom(bytes, send), in: await speedTo(bytes, take) };
}
