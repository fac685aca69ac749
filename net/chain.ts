import { messageOf } from "../base/mod.ts";
import type { NetworkConf, PluginConf } from "./conf.ts";
import { NetworkError } from "./error.ts";
import {
  type CniCommand,
  locatePlugin,
  MissingPluginError,
  type PluginCall,
  PluginError,
  type PluginHost,
  runPlugin,
} from "./plugin.ts";
import { checkResult, type CniResult } from "./result.ts";
import { withPluginLock } from "./plugin_lock.ts";

/** The attachment of one sandbox to one network. */
export interface Attachment {
  readonly conf: NetworkConf;
  readonly containerId: string;
  /** Path of the network namespace. */
  readonly netns: string;
  readonly ifname: string;
  /**
   * By capability: `portMappings`, `ips`, `mac`. Plugins that declare a capability get its value.
   */
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
}

/** Host of a chain of plugins. */
export interface ChainHost extends PluginHost {
  /** Directories of plugins. */
  readonly path: readonly string[];
  /** File that is locked while a plugin runs that must not run beside another. */
  readonly lockFile: string;
}

/** A chain's result: raw, as DEL and CHECK need it, and validated. */
export interface ChainResult {
  readonly raw: unknown;
  readonly result: CniResult;
}

/** Tells plugins to ignore arguments that they do not know. There are no others. */
const CNI_ARGS = "IgnoreUnknown=1";
/** host-local's error, by its text: it has no code of its own. */
const EXHAUSTED = /no IP addresses available/;

/**
 * Runs ADD of each plugin in turn (CNI specification 1.1, section 3).
 *
 * @param record gets the result of each plugin before the next one runs, and the number of plugins
 *   so far: DEL needs both if the next one fails.
 * @throws {NetworkError} naming the plugin and the reason. Nothing is undone: call `deleteChain`.
 */
export async function addChain(
  attachment: Attachment,
  host: ChainHost,
  record: (raw: unknown, added: number) => void = () => {},
): Promise<ChainResult> {
  const { conf } = attachment;
  // Fails here if a plugin is missing, before anything is made.
  for (const { type } of conf.plugins) {
    (host.onHost ?? ((work) => work()))(() =>
      locatePlugin({ type, path: host.path, network: conf.name })
    );
  }
  let raw: unknown = null;
  for (const [index, plugin] of conf.plugins.entries()) {
    raw = await call("ADD", attachment, plugin, raw, host).catch((error) => {
      throw explained(error, plugin, conf);
    });
    if (raw === null) {
      throw new NetworkError(
        "result",
        `CNI plugin ${plugin.type} of network ${conf.name} succeeded without a result`,
      );
    }
    checkResult(raw, `CNI plugin ${plugin.type} of network ${conf.name}`);
    record(raw, index + 1);
  }
  return { raw, result: checkResult(raw, `network ${conf.name}`) };
}

/**
 * Runs DEL of each plugin, last first. All are tried; to a plugin, what is already gone is no
 * error.
 *
 * @param previous the raw ADD result of the last plugin that is known to have succeeded; null if
 *   none has.
 * @param added how many plugins are known to have succeeded. Another one that refuses is called
 *   again without the result: tc-redirect-tap expects to find in it what it would have added.
 * @throws {AggregateError} of the failures.
 */
export async function deleteChain(
  attachment: Attachment,
  previous: unknown,
  host: ChainHost,
  added: number = attachment.conf.plugins.length,
): Promise<void> {
  const failures: unknown[] = [];
  for (const [index, plugin] of [...attachment.conf.plugins.entries()].reverse()) {
    const remove = (result: unknown) => call("DEL", attachment, plugin, result, host);
    await remove(previous).catch((error) => {
      if (index < added || previous === null || !(error instanceof PluginError)) throw error;
      return remove(null);
    }).catch((error) => {
      // ADD does not begin without the plugin, so there is nothing to undo.
      if (previous === null && error instanceof MissingPluginError) return;
      failures.push(error);
    });
  }
  if (failures.length === 0) return;
  const messages = failures.map(messageOf).join("; ");
  throw new AggregateError(failures, messages);
}

/**
 * Runs CHECK of each plugin (since version 0.4.0, unless the configuration disables it).
 *
 * @returns whether the plugins were called.
 * @throws {NetworkError} naming the plugin that found a difference from what ADD left.
 */
export async function checkChain(
  attachment: Attachment,
  previous: unknown,
  host: ChainHost,
): Promise<boolean> {
  const { conf } = attachment;
  if (conf.disableCheck || conf.cniVersion.startsWith("0.3")) return false;
  for (const plugin of conf.plugins) await call("CHECK", attachment, plugin, previous, host);
  return true;
}

/**
 * Runs GC of each plugin (since version 1.1.0), which releases what belongs to this network but to
 * no attachment in `valid`. Call it only if no other runtime uses the network: attachments of other
 * runtimes are not in `valid`.
 *
 * @throws {NetworkError} naming the plugin that failed.
 */
export async function collectGarbage(
  conf: NetworkConf,
  valid: readonly Pick<Attachment, "containerId" | "ifname">[],
  host: ChainHost,
): Promise<void> {
  if (conf.disableGC || conf.cniVersion !== "1.1.0") return;
  const attachments = valid.map(({ containerId, ifname }) => ({
    containerID: containerId,
    ifname,
  }));
  for (const plugin of conf.plugins) {
    if (!await supports(plugin, conf, "1.1.0", host)) continue;
    const stdin = {
      ...pluginConf(plugin, conf),
      // The second name was in a draft of 1.1.0; libcni sends both.
      "cni.dev/valid-attachments": attachments,
      "cni.dev/attachments": attachments,
    };
    const { type } = plugin;
    const command = { command: "GC", type, network: conf.name, path: host.path, stdin } as const;
    await withPluginLock(plugin, host, () => runPlugin(command, host));
  }
}

/** Returns whether a plugin reports that it supports a version. */
async function supports(
  { type }: PluginConf,
  { name, cniVersion }: NetworkConf,
  version: string,
  host: ChainHost,
): Promise<boolean> {
  const command = { command: "VERSION", type, network: name, path: host.path } as const;
  const answer = await runPlugin({ ...command, stdin: { cniVersion } }, host);
  const versions = (answer as { supportedVersions?: unknown } | null)?.supportedVersions;
  return Array.isArray(versions) && versions.includes(version);
}

function call(
  command: CniCommand,
  attachment: Attachment,
  plugin: PluginConf,
  previous: unknown,
  host: ChainHost,
): Promise<unknown> {
  const { conf, containerId, netns, ifname } = attachment;
  const request: PluginCall = {
    command,
    type: plugin.type,
    network: conf.name,
    path: host.path,
    containerId,
    netns,
    ifname,
    args: CNI_ARGS,
    stdin: requestConf(plugin, attachment, previous),
  };
  return withPluginLock(plugin, host, () => runPlugin(request, host));
}

/**
 * Returns what a plugin reads on standard input (CNI specification 1.1, "Deriving request
 * configuration"). Pure.
 */
export function requestConf(
  plugin: PluginConf,
  { conf, capabilityArgs }: Pick<Attachment, "conf" | "capabilityArgs">,
  previous: unknown,
): Record<string, unknown> {
  const runtimeConfig = Object.fromEntries(
    Object.entries(capabilityArgs).filter(([name]) => plugin.capabilities?.[name] === true),
  );
  return {
    ...pluginConf(plugin, conf),
    ...(Object.keys(runtimeConfig).length > 0 ? { runtimeConfig } : {}),
    ...(previous === null ? {} : { prevResult: previous }),
  };
}

function pluginConf(
  plugin: PluginConf,
  { name, cniVersion }: NetworkConf,
): Record<string, unknown> {
  const { capabilities: _, ...rest } = plugin;
  return { ...rest, name, cniVersion };
}

/** Adds where to look, for failures that have a usual cause. */
function explained(error: unknown, plugin: PluginConf, conf: NetworkConf): unknown {
  if (!(error instanceof PluginError)) return error;
  if (!EXHAUSTED.test(error.message + error.details)) return error;
  const ipam = plugin["ipam"] as { type?: unknown; dataDir?: unknown } | undefined;
  const directory = typeof ipam?.dataDir === "string" ? ipam.dataDir : "/var/lib/cni/networks";
  const where = ipam?.type === "host-local"
    ? `the addresses in use are the files in ${directory}/${conf.name}`
    : `check the IPAM plugin ${ipam?.type}`;
  const message = `${error.message}; ${where}, the range is in ${conf.file}`;
  return new PluginError(message, error.code, error.details);
}
