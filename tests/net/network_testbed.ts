/** Frame of tests with networks from examples/cni. */

import assert from "node:assert/strict";
import { poll } from "../../base/mod.ts";
import { type System, system as realSystem } from "../../ffi/mod.ts";
import {
  type NetworkHost,
  networkRequest,
  planNetwork,
  readConfFolder,
  SandboxNetwork,
} from "../../net/mod.ts";
import { forceRemove } from "../lib/containers.ts";
import { ctr } from "../lib/ctr.ts";
import { IN_TESTBED } from "../lib/environment.ts";
import { patience } from "../lib/wait.ts";

export const PLUGIN_PATH = ["/usr/lib/cni"];
const TAP_PLUGIN = `${PLUGIN_PATH[0]}/tc-redirect-tap`;
export const CONF_DIR = "/etc/cni/net.d";
export const STORE = "/var/lib/qemubox/network.db";
const NETNS_FOLDER = "/run/qemubox/netns";
const EXAMPLES = new URL("../../examples/cni/", import.meta.url).pathname;
/** Within this time everything that ends by itself must have ended. */
const LEFT_WITHIN_MS = patience(5_000);

/** What a test of networks works with. */
export interface NetworkBench {
  /** Returns a unique container id; its container is removed after the test. */
  newId(characters?: number): string;
}

/**
 * Defines a test with networks of examples/cni, changed by `edit` if given. Afterwards no address,
 * link, namespace, firewall rule, row or mount may be left except those that networks keep: a
 * bridge and empty chains, which exist before the test. Skipped outside of the testbed.
 */
export function networkTest(
  name: string,
  examples: readonly string[],
  work: (bench: NetworkBench) => Promise<void>,
  edit: (text: string) => string = (text) => text,
): void {
  Deno.test({
    name,
    ignore: !IN_TESTBED,
    // SQLite and the poller of ffi stay open.
    sanitizeResources: false,
    sanitizeOps: false,
    fn: async () => {
      Deno.mkdirSync(CONF_DIR, { recursive: true });
      installTapPlugin();
      for (const example of examples) {
        const text = Deno.readTextFileSync(`${EXAMPLES}${example}.conflist`);
        Deno.writeTextFileSync(`${CONF_DIR}/${example}.conflist`, edit(text));
      }
      const ids: string[] = [];
      const newId = (characters = 0) => {
        const id = `net-${crypto.randomUUID().slice(0, 8)}`.padEnd(characters, "x");
        ids.push(id);
        return id;
      };
      try {
        for (const { name } of readConfFolder(CONF_DIR).networks) await warmUp(name);
        const before = networkState();
        await work({ newId });
        await stateIs(before);
      } finally {
        for (const id of ids) {
          await ctr("task", "kill", "-s", "SIGKILL", id);
          await forceRemove(id);
        }
        Deno.removeSync(CONF_DIR, { recursive: true });
      }
    },
  });
}

/**
 * Installs our stand-in for tc-redirect-tap, unless that is installed: it is in no Debian package,
 * and its Go module is not available everywhere.
 */
function installTapPlugin(): void {
  if (hasTapPlugin()) return;
  const script = new URL("./stand_in.ts", import.meta.url).pathname;
  // Plugins do not inherit it.
  const modules = Deno.env.get("DENO_DIR") ?? "";
  const text =
    `#!/bin/sh\nDENO_DIR="${modules}" exec deno run --quiet --no-lock --allow-all ${script}\n`;
  Deno.writeTextFileSync(TAP_PLUGIN, text, { mode: 0o755 });
}

/** Returns whether the real tc-redirect-tap is installed. */
export function hasTapPlugin(): boolean {
  return lines(`test ! -e ${TAP_PLUGIN} || grep -qs stand_in.ts ${TAP_PLUGIN} || echo yes`).length >
    0;
}

/** Prepares a sandbox's network without a sandbox. */
export async function joinNetworks(
  id: string,
  networks: string,
  options: {
    signal?: AbortSignal;
    ports?: string;
    system?: System;
    /** A namespace to join instead of networks. */
    netns?: string;
    spoofing?: NetworkHost["spoofing"];
    warn?: (line: string) => void;
  } = {},
): Promise<SandboxNetwork> {
  const { signal, ports, system = realSystem, netns, spoofing, warn } = options;
  const settings = { confDir: CONF_DIR, path: PLUGIN_PATH, network: null };
  const request = networkRequest({
    ...(netns === undefined ? { "io.qemubox.networks": networks } : {}),
    ...(ports === undefined ? {} : { "io.qemubox.port-mappings": ports }),
  }, netns ?? null);
  return await SandboxNetwork.prepare(planNetwork(settings, request, readConfFolder), {
    system,
    owner: { namespace: "test", id },
    containerId: `test--${id}`,
    netnsPath: `${NETNS_FOLDER}/test--${id}`,
    storePath: STORE,
    ...(spoofing === undefined ? {} : { spoofing }),
    ...(warn === undefined ? {} : { warn }),
    chain: {
      system,
      path: PLUGIN_PATH,
      lockFile: `${NETNS_FOLDER}/.lock`,
      ...(signal === undefined ? {} : { signal }),
    },
  });
}

/** Makes what stays when the last container is gone: bridges and the firewall's chains. */
async function warmUp(network: string): Promise<void> {
  try {
    await using joined = await joinNetworks("warm-up", network, { ports: "1:1" });
    await joined.connect();
  } catch {
    // Some tests are about a network that cannot work.
  }
}

/** Returns everything on this host that a network could leave behind. */
export function networkState(): Record<string, string[]> {
  return {
    links: lines("ip -o link").map((line) => line.split(" ")[1]!),
    rules: lines("nft list ruleset")
      .map((line) => line.trim().replace(/counter packets \d+ bytes \d+/, "counter")),
    addresses: lines("find /var/lib/cni -type f")
      .filter((path) => !/last_reserved_ip|lock$/.test(path)),
    namespaces: lines(`ls ${NETNS_FOLDER}`),
    mounts: lines("grep qemubox/netns /proc/self/mountinfo || true"),
    rows: lines(`test ! -e ${STORE} || ${countRows()}`),
  };
}

/** Waits until the state is as before: containerd deletes some things after it has answered. */
export async function stateIs(before: Record<string, string[]>): Promise<void> {
  let now = before;
  const look = () => {
    now = networkState();
    return JSON.stringify(now) === JSON.stringify(before) || null;
  };
  await poll(look, { everyMs: 20, timeoutMs: LEFT_WITHIN_MS });
  assert.deepEqual(now, before);
}

/** Runs a shell command, which may fail. Returns the lines that it prints. */
export function lines(command: string): string[] {
  const { stdout } = new Deno.Command("sh", { args: ["-c", command] }).outputSync();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}

/** Runs a shell command, which must succeed. Returns what it prints. */
export async function sh(command: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("sh", { args: ["-ec", command] })
    .output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert(success, `${command}: ${decode(stderr)}`);
  return decode(stdout);
}

/** Returns a command that prints all rows; Debian's root has no sqlite3(1). */
function countRows(): string {
  const script = `import { DatabaseSync } from "node:sqlite";
    for (const row of new DatabaseSync("${STORE}").prepare("SELECT * FROM attachments").all()) {
      console.log(row.namespace, row.id, row.ifname);
    }`;
  return `deno eval '${script}'`;
}
