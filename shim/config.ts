import * as z from "zod";

/**
 * What an administrator or, within the allow-list, a container may set. Paths are absolute.
 * Precedence: annotation, environment variable, file, default.
 */
export interface Config {
  readonly shareDir: string;
  readonly stateDir: string;
  readonly logDir: string;
  /** Leases, sockets and shared folders of running sandboxes; on a tmpfs. */
  readonly runDir: string;
  /** null, here and below: looked for in the share folder, then where distributions put it. */
  readonly qemuPath: string | null;
  readonly kernelPath: string | null;
  readonly rootPath: string | null;
  readonly initrdPath: string | null;
  readonly firmwarePath: string | null;
  readonly virtiofsdPath: string | null;
  readonly vhostDeviceVsockPath: string | null;
  /** CNI configurations. */
  readonly cniConfDir: string;
  /** Folders of CNI plugins, searched in this order. */
  readonly cniBinDirs: readonly string[];
  /** The network of containers that name none; null: qemubox-net, if there is one. */
  readonly cniNetwork: string | null;
  /** How EROFS layers get into the VM: as one disk, or as files over virtio-fs. */
  readonly layers: "disk" | "files";
  readonly accelerator: "auto" | "kvm" | "tcg";
  /** null: by accelerator. Milliseconds. */
  readonly bootTimeoutMs: number | null;
  /** How long an exit waits for a reader that stopped reading. Milliseconds. */
  readonly drainTimeoutMs: number;
  /** How long a guest may take to end by itself. Milliseconds. */
  readonly shutdownTimeoutMs: number;
}

export const CONFIG_PATH = "/etc/qemubox/config.json";

/** Thrown for a key or value that is not understood; the message names key and origin. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

const path = z.string().regex(/^\/[^\0]*$/, "must be an absolute path");
const milliseconds = (max: number) => z.number().positive().max(max).transform((s) => s * 1000);

/** Every key of the configuration file; unknown ones are refused. */
const FILE = z.strictObject({
  share_dir: path,
  state_dir: path,
  log_dir: path,
  run_dir: path,
  qemu_path: path,
  kernel_path: path,
  root_path: path,
  initrd_path: path,
  firmware_path: path,
  virtiofsd_path: path,
  vhost_device_vsock_path: path,
  cni_conf_dir: path,
  // As CNI_PATH: several, with colons between.
  cni_bin_dir: path,
  cni_network: z.string().min(1),
  layers: z.enum(["disk", "files"]),
  accelerator: z.enum(["auto", "kvm", "tcg"]),
  boot_timeout_seconds: milliseconds(3600),
  drain_timeout_seconds: milliseconds(3600),
  shutdown_timeout_seconds: milliseconds(600),
}).partial();
type FileKey = keyof typeof FILE.shape;

const ENVIRONMENT: Readonly<Record<string, FileKey>> = {
  QEMUBOX_SHARE_DIR: "share_dir",
  QEMUBOX_STATE_DIR: "state_dir",
  QEMUBOX_LOG_DIR: "log_dir",
  QEMUBOX_RUN_DIR: "run_dir",
  QEMUBOX_QEMU_PATH: "qemu_path",
  QEMUBOX_ACCELERATOR: "accelerator",
  QEMUBOX_CNI_CONF_DIR: "cni_conf_dir",
  QEMUBOX_CNI_BIN_DIR: "cni_bin_dir",
  QEMUBOX_CNI_NETWORK: "cni_network",
};

/** What a container may ask for itself; anything else under the prefix is refused. */
const ANNOTATIONS: Readonly<Record<string, FileKey>> = {
  "io.qemubox.accelerator": "accelerator",
  "io.qemubox.layers": "layers",
  "io.qemubox.boot-timeout-seconds": "boot_timeout_seconds",
};
/** What a container may ask of its network; net/request.ts reads them. */
const NETWORK_ANNOTATIONS = [
  "io.qemubox.networks",
  "io.qemubox.port-mappings",
  "io.qemubox.ip-addresses",
  "io.qemubox.mac-address",
];
/** Where plugins are when nobody says: upstream's place, Debian's, Fedora's. */
const CNI_BIN_DIRS = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"];
const ANNOTATION_PREFIX = "io.qemubox.";

/** Where settings come from; `file` is the text of the configuration file, null when there is none. */
export interface ConfigSources {
  readonly file: string | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * Reads the settings that apply to one container. Pure.
 * @throws ConfigError naming the key, where it stands and what it may be.
 */
export function resolveConfig(sources: ConfigSources): Config {
  const environment = named(sources.environment, ENVIRONMENT, "environment variable");
  const annotations = named(sources.annotations, ANNOTATIONS, "annotation");
  const known = [...Object.keys(ANNOTATIONS), ...NETWORK_ANNOTATIONS];
  for (const name of Object.keys(sources.annotations)) {
    if (name.startsWith(ANNOTATION_PREFIX) && !known.includes(name)) {
      throw new ConfigError(`annotation ${name} is not known; known are ${known.join(", ")}`);
    }
  }
  const set = { ...parseFile(sources.file), ...environment, ...annotations };
  return {
    shareDir: set.share_dir ?? "/usr/share/qemubox",
    stateDir: set.state_dir ?? "/var/lib/qemubox",
    logDir: set.log_dir ?? "/var/log/qemubox",
    runDir: set.run_dir ?? "/run/qemubox",
    qemuPath: set.qemu_path ?? null,
    kernelPath: set.kernel_path ?? null,
    rootPath: set.root_path ?? null,
    initrdPath: set.initrd_path ?? null,
    firmwarePath: set.firmware_path ?? null,
    virtiofsdPath: set.virtiofsd_path ?? null,
    vhostDeviceVsockPath: set.vhost_device_vsock_path ?? null,
    cniConfDir: set.cni_conf_dir ?? "/etc/cni/net.d",
    cniBinDirs: set.cni_bin_dir?.split(":") ?? CNI_BIN_DIRS,
    cniNetwork: set.cni_network ?? null,
    layers: set.layers ?? "disk",
    accelerator: set.accelerator ?? "auto",
    bootTimeoutMs: set.boot_timeout_seconds ?? null,
    drainTimeoutMs: set.drain_timeout_seconds ?? 30_000,
    shutdownTimeoutMs: set.shutdown_timeout_seconds ?? 2_000,
  };
}

function parseFile(text: string | null): z.output<typeof FILE> {
  if (text === null) return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${CONFIG_PATH} is not JSON: ${(error as Error).message}`);
  }
  const parsed = FILE.safeParse(value);
  if (!parsed.success) throw new ConfigError(`${CONFIG_PATH}: ${explain(parsed.error)}`);
  return parsed.data;
}

function named(
  values: Readonly<Record<string, string>>,
  known: Readonly<Record<string, FileKey>>,
  kind: string,
): z.output<typeof FILE> {
  const found: Record<string, unknown> = {};
  for (const [name, key] of Object.entries(known)) {
    const text = values[name];
    if (text === undefined || text === "") continue;
    const parsed = FILE.shape[key].safeParse(key.endsWith("_seconds") ? Number(text) : text);
    if (!parsed.success) {
      throw new ConfigError(`${kind} ${name}=${JSON.stringify(text)}: ${explain(parsed.error)}`);
    }
    found[key] = parsed.data;
  }
  return found;
}

function explain(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`.trim()).join("; ");
}

/**
 * Reads file and environment of this process.
 * @throws ConfigError as `resolveConfig`, and when the file is there but cannot be read.
 */
export function loadConfig(annotations: Readonly<Record<string, string>> = {}): Config {
  return resolveConfig({
    file: readIfPresent(CONFIG_PATH),
    environment: Deno.env.toObject(),
    annotations,
  });
}

function readIfPresent(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw new ConfigError(`${path} cannot be read: ${(error as Error).message}`);
  }
}
