import { system } from "../../ffi/mod.ts";
import {
  addChain,
  type ChainHost,
  createNetns,
  DEFAULT_NETWORK,
  DEFAULT_PLUGIN_PATH,
  deleteChain,
  parseConf,
  removeNetns,
} from "../../net/mod.ts";
import { run } from "./shim_container.ts";

const BRIDGE = "benchnet0";
const SUBNET = "10.99.0.0/24";
/** Address of this host on the bridge. */
export const BRIDGE_ADDRESS = "10.99.0.1";

/**
 * A bridge, made by its plugin, with a network namespace that has no VM. Containers of shims with
 * `environment` are on it as well. Disposing removes everything.
 */
export class BenchNetwork implements AsyncDisposable {
  /** Environment of a shim. */
  readonly environment: Readonly<Record<string, string>>;
  /** The path of the network namespace. */
  readonly netns: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(directory: string, netns: string, stack: AsyncDisposableStack) {
    this.environment = { QEMUBOX_CNI_CONF_DIR: directory };
    this.netns = netns;
    this.#stack = stack;
  }

  static async make(): Promise<BenchNetwork> {
    await using stack = new AsyncDisposableStack();
    const directory = Deno.makeTempDirSync({ prefix: "bench-network-" });
    stack.defer(() => Deno.removeSync(directory, { recursive: true }));
    const file = `${directory}/bench.conflist`;
    const text = confText(directory);
    Deno.writeTextFileSync(file, text);
    const netns = `${directory}/netns`;
    createNetns(system, netns);
    stack.defer(() => removeNetns(system, netns));
    stack.defer(async () => void await run("ip", ["link", "del", BRIDGE]));
    const host: ChainHost = { path: DEFAULT_PLUGIN_PATH, lockFile: `${directory}/lock` };
    const attachment = {
      conf: parseConf(text, file),
      containerId: "bench-netns",
      netns,
      ifname: "eth0",
      capabilityArgs: {},
    };
    const { raw } = await addChain(attachment, host);
    stack.defer(() => deleteChain(attachment, raw, host));
    return new BenchNetwork(directory, netns, stack.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/**
 * Returns the configuration of the default network, without the firewall plugin, which leaves
 * chains.
 */
function confText(directory: string): string {
  const ipam = { type: "host-local", dataDir: `${directory}/ipam`, ranges: [[{ subnet: SUBNET }]] };
  return JSON.stringify({
    cniVersion: "1.0.0",
    name: DEFAULT_NETWORK,
    plugins: [{ type: "bridge", bridge: BRIDGE, isGateway: true, ipam }],
  });
}
