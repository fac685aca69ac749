import * as z from "zod";
import { ifPresent, inheritedEnvironment, messageOf, oneLine, printable } from "../base/mod.ts";
import { type ExitStatus, OUTPUT_BYTES_MAX, runProgram, type System } from "../ffi/mod.ts";
import { NetworkError } from "./error.ts";

/** How long one plugin may take, in milliseconds. */
export const PLUGIN_TIMEOUT_MS = 60_000;
/** Longest part of a message, and of details, that a plugin reports. */
const REPORTED_CHARACTERS_MAX = 2_000;
/** Longest part of a crashed plugin's last line that goes into the error. */
const LAST_LINE_CHARACTERS_MAX = 500;

/**
 * Runs a plugin and returns its parsed output, or null if it printed nothing.
 *
 * It runs in a session of its own, which is killed as a whole at the timeout, because IPAM plugins
 * are its children.
 *
 * @throws {PluginError} with the error that the plugin reported.
 * @throws {MissingPluginError}
 * @throws {NetworkError} `plugin` if it crashed or timed out; `result` if its output is invalid.
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
    throw new NetworkError("result", `${from} printed more than ${OUTPUT_BYTES_MAX} bytes`);
  }
  if (late) {
    host.signal?.throwIfAborted();
    throw new NetworkError(
      "plugin",
      `${from} did not finish ${call.command} within ` +
        `${(host.timeoutMs ?? PLUGIN_TIMEOUT_MS) / 1000} s and was killed`,
    );
  }
  const messages = stderr.trim();
  if (status.code !== 0) throw failure(from, call.command, status, stdout, messages);
  if (messages !== "") host.log?.(`${from}: ${messages}`);
  return stdout.trim() === "" ? null : parse(stdout, from);
}

/** Value of CNI_COMMAND. */
export type CniCommand = "ADD" | "DEL" | "CHECK" | "GC" | "VERSION" | "STATUS";

/** One call of a plugin (CNI specification 1.1, section 2). */
export interface PluginCall {
  readonly command: CniCommand;
  /** The plugin's file name. */
  readonly type: string;
  /** Name of the network, for messages. */
  readonly network: string;
  /** Directories searched for plugins, in this order. */
  readonly path: readonly string[];
  /** CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_ARGS; not set if left out. */
  readonly containerId?: string;
  readonly netns?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** Value that the plugin reads on standard input, as JSON. */
  readonly stdin: unknown;
}

/** Host of plugins. */
export interface PluginHost {
  readonly system?: System;
  /** Additional environment of the plugins, by which stray ones are found. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Runs `work` in the host's mount namespace; default: in the current one. */
  readonly onHost?: <T>(work: () => T) => T;
  readonly signal?: AbortSignal;
  /** How long one plugin may take; default: PLUGIN_TIMEOUT_MS. */
  readonly timeoutMs?: number;
  /** Takes lines for the log, such as standard error of a plugin that succeeded. */
  readonly log?: (line: string) => void;
}

/** Returns the path of a plugin. @throws {MissingPluginError} */
export function locatePlugin(call: Pick<PluginCall, "type" | "path" | "network">): string {
  for (const directory of call.path) {
    const candidate = `${directory}/${call.type}`;
    if (ifPresent(() => Deno.statSync(candidate))?.isFile) return candidate;
  }
  throw new MissingPluginError(call);
}

function environment(call: PluginCall, host: PluginHost): Record<string, string> {
  const { containerId, netns, ifname, args } = call;
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...inheritedEnvironment(Deno.env.toObject()),
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

/** Makes the error of a plugin that failed: from the error object that it printed, if it did. */
function failure(
  from: string,
  command: CniCommand,
  { signal, code }: ExitStatus,
  stdout: string,
  stderr: string,
): NetworkError {
  const parsed = ERROR.safeParse(parseOrNull(stdout));
  if (parsed.success) {
    const { code } = parsed.data;
    const msg = oneLine(parsed.data.msg, REPORTED_CHARACTERS_MAX);
    const details = oneLine(parsed.data.details, REPORTED_CHARACTERS_MAX);
    const more = details === "" ? `code ${code}` : `code ${code}: ${details}`;
    const message = `${from} failed to ${command}: ${msg} (${more})`;
    return new PluginError(message, code, details);
  }
  const how = signal === null ? `exited with code ${code}` : `was killed by signal ${signal}`;
  const lastLine = (stderr || stdout.trim()).split("\n").at(-1)!;
  const last = printable(lastLine, LAST_LINE_CHARACTERS_MAX);
  return new NetworkError(
    "plugin",
    `${from} ${how} during ${command}${last === "" ? "" : `: ${last}`}`,
  );
}

/** An error that a plugin reported, with code and details as in the CNI specification. */
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
