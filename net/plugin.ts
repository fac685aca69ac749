import * as z from "zod";
import { ifPresent, messageOf } from "../base/mod.ts";
import { type ExitStatus, OUTPUT_BYTES_MAX, runProgram, type System } from "../ffi/mod.ts";
import { NetworkError } from "./error.ts";

export type CniCommand = "ADD" | "DEL" | "CHECK" | "GC" | "VERSION" | "STATUS";

/** One call of a plugin (CNI specification 1.1, section 2). */
export interface PluginCall {
  readonly command: CniCommand;
  /** The plugin's file name. */
  readonly type: string;
  /** For messages: the network's name. */
  readonly network: string;
  /** Folders that plugins are looked for in, in this order. */
  readonly path: readonly string[];
  /** CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_ARGS; what is left out is not set. */
  readonly containerId?: string;
  readonly netns?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** What the plugin reads on standard input. */
  readonly stdin: unknown;
}

/** What calls of plugins need of their surroundings. */
export interface PluginHost {
  readonly system?: System;
  /** More environment for the plugins, by which stray ones are found. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Does something where the host's mounts are seen; default: here. */
  readonly onHost?: <T>(work: () => T) => T;
  readonly signal?: AbortSignal;
  /** How long one plugin may take; default PLUGIN_TIMEOUT_MS. */
  readonly timeoutMs?: number;
  /** One line at a time: what a plugin that succeeded had to say on standard error. */
  readonly log?: (line: string) => void;
}

/** How long one plugin may take. Milliseconds. */
export const PLUGIN_TIMEOUT_MS = 60_000;
/** Of what a plugin that crashed said last. */
const SAID_CHARACTERS_MAX = 500;

/** The error of a plugin that said why: code and details as the CNI specification numbers them. */
export class PluginError extends NetworkError {
  readonly code: number;
  readonly details: string;

  constructor(message: string, code: number, details: string) {
    super("plugin", message);
    this.code = code;
    this.details = details;
  }
}

/** A plugin that is not installed. */
export class MissingPluginError extends NetworkError {
  constructor({ type, path, network }: Pick<PluginCall, "type" | "path" | "network">) {
    super(
      "config",
      `CNI plugin ${type} of network ${network} is not in ${path.join(", ")}; install it there, ` +
        `take it out of ${network}'s configuration, or set QEMUBOX_CNI_BIN_DIR`,
    );
  }
}

/**
 * Runs a plugin and returns what it printed, parsed; null when it printed nothing.
 *
 * It runs in a session of its own, which is killed as a whole when it takes too long: IPAM plugins
 * are its children.
 *
 * @throws {PluginError} what the plugin said.
 * @throws {MissingPluginError}
 * @throws {NetworkError} `plugin` when it crashed or was late.
 * @throws the reason of `signal`.
 */
export async function runPlugin(call: PluginCall, host: PluginHost = {}): Promise<unknown> {
  host.signal?.throwIfAborted();
  const from = `CNI plugin ${call.type} of network ${call.network}`;
  const { status, stdout, stderr, late } = await runProgram({
    path: () => locatePlugin(call),
    args: [],
    env: environment(call, host),
    input: JSON.stringify(call.stdin),
    timeoutMs: host.timeoutMs ?? PLUGIN_TIMEOUT_MS,
  }, host);
  if (stdout === null) {
    throw new NetworkError("result", `${from}: output: more than ${OUTPUT_BYTES_MAX} bytes`);
  }
  if (late) {
    host.signal?.throwIfAborted();
    throw new NetworkError(
      "plugin",
      `${from} did not end its ${call.command} within ` +
        `${(host.timeoutMs ?? PLUGIN_TIMEOUT_MS) / 1000} s and was killed`,
    );
  }
  const said = stderr.trim();
  if (status.code !== 0) throw failure(from, call.command, status, stdout, said);
  if (said !== "") host.log?.(`${from}: ${said}`);
  return stdout.trim() === "" ? null : parse(stdout, from);
}

/** The plugin's file. @throws {MissingPluginError} */
export function locatePlugin(call: Pick<PluginCall, "type" | "path" | "network">): string {
  for (const folder of call.path) {
    const candidate = `${folder}/${call.type}`;
    if (ifPresent(() => Deno.statSync(candidate))?.isFile) return candidate;
  }
  throw new MissingPluginError(call);
}

function environment(call: PluginCall, host: PluginHost): Record<string, string> {
  const { containerId, netns, ifname, args } = call;
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...Deno.env.toObject(),
    ...host.environment,
    CNI_COMMAND: call.command,
    CNI_PATH: call.path.join(":"),
    ...(containerId === undefined ? {} : { CNI_CONTAINERID: containerId }),
    ...(netns === undefined ? {} : { CNI_NETNS: netns }),
    ...(ifname === undefined ? {} : { CNI_IFNAME: ifname }),
    ...(args === undefined ? {} : { CNI_ARGS: args }),
  };
}

const ERROR = z.looseObject({
  code: z.int(),
  msg: z.string(),
  details: z.string().nullish().transform((details) => details ?? ""),
});

/** What a plugin that failed printed: the specification's error object, if it got that far. */
function failure(
  from: string,
  command: CniCommand,
  { signal, code }: ExitStatus,
  stdout: string,
  stderr: string,
): NetworkError {
  const parsed = ERROR.safeParse(parseOrNull(stdout));
  if (parsed.success) {
    const { msg, code, details } = parsed.data;
    const more = details === "" ? `code ${code}` : `code ${code}: ${details}`;
    const message = `${from} failed to ${command}: ${msg} (${more})`;
    return new PluginError(message, code, details);
  }
  const how = signal === null ? `exited with code ${code}` : `was killed by signal ${signal}`;
  const last = (stderr || stdout.trim()).split("\n").at(-1)!.slice(0, SAID_CHARACTERS_MAX);
  return new NetworkError(
    "plugin",
    `${from} ${how} in its ${command}${last === "" ? "" : `: ${last}`}`,
  );
}

function parse(text: string, from: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new NetworkError("result", `${from} did not print JSON: ${messageOf(error)}`);
  }
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
