import * as z from "zod";
import { ifPresent, messageOf } from "../base/mod.ts";
import { NetworkError } from "./error.ts";

/** One plugin's part of a network configuration, as it is passed to the plugin. */
export interface PluginConf {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>> | undefined;
  readonly [key: string]: unknown;
}

/** A network configuration list (CNI specification 1.1, section 1), with the version chosen. */
export interface NetworkConf {
  readonly name: string;
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  readonly plugins: readonly PluginConf[];
  /** File that it was read from, for messages. */
  readonly file: string;
}

/** Supported versions of the CNI protocol, oldest first. */
const CNI_VERSIONS = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
/** Largest configuration file accepted. */
const CONF_BYTES_MAX = 1024 * 1024;
const EXTENSIONS = [".conflist", ".conf", ".json"];
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

const PLUGIN = z.looseObject({
  // Used as a file name.
  type: z.string().regex(/^[^/\0]+$/, "must be a plugin's file name"),
  capabilities: z.record(z.string(), z.boolean()).optional(),
});
const LIST = z.looseObject({
  name: z.string().regex(NAME, "must be letters, digits, '_', '.' and '-'"),
  cniVersion: z.string().optional(),
  cniVersions: z.array(z.string()).optional(),
  disableCheck: z.boolean().optional(),
  disableGC: z.boolean().optional(),
  plugins: z.array(PLUGIN).min(1, "must name at least one plugin"),
});

/**
 * Parses one configuration, a list (`.conflist`) or a single plugin (`.conf`). Pure.
 *
 * @param file its path, for messages.
 * @throws {NetworkError} `config`, naming the file, the key and the problem.
 */
export function parseConf(text: string, file: string): NetworkConf {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new NetworkError("config", `${file} is not JSON: ${messageOf(error)}`);
  }
  const parsed = LIST.safeParse(asList(value));
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new NetworkError("config", `${file} is not a CNI configuration: ${issues.join("; ")}`);
  }
  const { name, plugins, disableCheck = false, disableGC = false } = parsed.data;
  const cniVersion = chooseVersion(parsed.data, file);
  return { name, cniVersion, disableCheck, disableGC, plugins, file };
}

/** A single plugin's configuration is a list of one. */
function asList(value: unknown): unknown {
  if (typeof value !== "object" || value === null || "plugins" in value) return value;
  const { name, cniVersion, ...plugin } = value as Record<string, unknown>;
  return { name, cniVersion, plugins: [plugin] };
}

/** Returns the highest supported version that the list offers. */
function chooseVersion(list: z.output<typeof LIST>, file: string): string {
  const offered = [list.cniVersion, ...(list.cniVersions ?? [])].filter((one) => one !== undefined);
  const chosen = CNI_VERSIONS.findLast((version) => offered.includes(version));
  if (chosen !== undefined) return chosen;
  const problem = offered.length === 0 ? "is missing" : `${offered.join(", ")} is not supported`;
  throw new NetworkError(
    "config",
    `${file}: cniVersion ${problem}; supported versions are ${CNI_VERSIONS.join(", ")}`,
  );
}

/** Contents of a directory of configurations. */
export interface ConfFolder {
  readonly path: string;
  /** In the order of the file names; of two networks with one name, the first counts. */
  readonly networks: readonly NetworkConf[];
  /** Errors of the files that are not valid configurations. */
  readonly broken: readonly NetworkError[];
}

/**
 * Reads all configurations of a directory. A broken one does not hide the others.
 *
 * @throws {NetworkError} `config` if the directory exists but cannot be read.
 */
export function readConfFolder(path: string): ConfFolder {
  const networks: NetworkConf[] = [];
  const broken: NetworkError[] = [];
  for (const name of confFiles(path)) {
    try {
      const conf = parseConf(readLimited(`${path}/${name}`), `${path}/${name}`);
      if (!networks.some((other) => other.name === conf.name)) networks.push(conf);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      broken.push(error);
    }
  }
  return { path, networks, broken };
}

/**
 * Returns the network of that name. Pure.
 *
 * @throws {NetworkError} `config`, naming a broken file if there is one, else the networks found.
 */
export function findNetwork(folder: ConfFolder, name: string): NetworkConf {
  const found = folder.networks.find((network) => network.name === name);
  if (found !== undefined) return found;
  if (folder.broken.length > 0) {
    const [first] = folder.broken;
    throw new NetworkError("config", `network ${name} was not found; ${first!.message}`);
  }
  const names = folder.networks.map((network) => network.name).join(", ") || "none";
  throw new NetworkError(
    "config",
    `network ${name} is not in ${folder.path} (there: ${names}); ` +
      "add its configuration, or set QEMUBOX_CNI_NETWORK or QEMUBOX_CNI_CONF_DIR",
  );
}

function confFiles(path: string): string[] {
  try {
    if (ifPresent(() => Deno.statSync(path)) === null) return [];
    return [...Deno.readDirSync(path)]
      .filter(({ name, isDirectory }) =>
        !isDirectory && EXTENSIONS.some((extension) => name.endsWith(extension))
      )
      .map(({ name }) => name).sort();
  } catch (error) {
    throw new NetworkError("config", `${path} cannot be read: ${messageOf(error)}`);
  }
}

function readLimited(path: string): string {
  let size: number;
  try {
    size = Deno.statSync(path).size;
    if (size <= CONF_BYTES_MAX) return Deno.readTextFileSync(path);
  } catch (error) {
    throw new NetworkError("config", `${path} cannot be read: ${messageOf(error)}`);
  }
  throw new NetworkError("config", `${path} has ${size} bytes, the limit is ${CONF_BYTES_MAX}`);
}
