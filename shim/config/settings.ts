import * as z from "zod";

/**
 * The table of all settings: a new one is one entry here. Configuration file, environment variables,
 * annotations, the type `Config` (config.ts) and docs/CONFIGURATION.md come from it; the type checker
 * asks for a test of its effect (settings_test.ts). `start` reads this and must be quick:
 * what net/ says as well is repeated here, and compared by a test.
 */

/** Who may say it: "host", an administrator; "container", an annotation alone; "any", both. */
export type Audience = "host" | "container" | "any";

/** One setting. */
export interface Setting<Schema extends z.ZodType = z.ZodType, Default = unknown> {
  /** Of its value in the configuration file. */
  readonly schema: Schema;
  /** As in the configuration file; null: there is no value then. */
  readonly default: Default;
  /** What the documentation says instead of the default. */
  readonly defaultText?: string;
  readonly for: Audience;
  /** What may be said, for the documentation. */
  readonly value: string;
  /** A text is read as a number: in the environment and in annotations all are texts. */
  readonly isNumber?: boolean;
  readonly about: string;
}

/** What a kind of value is in the file, and in words. */
type Kind<Schema extends z.ZodType> = Pick<Setting<Schema>, "schema" | "value" | "isNumber">;

/** What an entry says besides its kind. */
type Rest<Default> = Omit<Setting<z.ZodType, Default>, keyof Kind<z.ZodType>>;

const path = z.string().regex(/^\/[^\0]*$/, "must be an absolute path");
const PATH = { schema: path, value: "a path" };
const PATHS = {
  schema: path.transform((list): readonly string[] => list.split(":")),
  value: "paths, with colons between",
};
const NAME = { schema: z.string().min(1), value: "a name" };
const whole = (min: number, max: number) => ({
  schema: z.int().min(min).max(max),
  value: `a whole number, ${min} to ${max}`,
  isNumber: true,
});
/** Milliseconds once read. */
const seconds = (max: number) => ({
  schema: z.number().positive().max(max).transform((value) => value * 1000),
  value: `seconds, at most ${max}`,
  isNumber: true,
});
const oneOf = <const Names extends readonly string[]>(...names: Names) => ({
  schema: z.enum(names),
  value: names.map((name) => `\`${name}\``).join(", "),
});

function setting<Schema extends z.ZodType, const Default>(
  kind: Kind<Schema>,
  rest: Rest<Default>,
): Setting<Schema, Default> {
  return { ...kind, ...rest };
}

/** 16 TiB, more than any host has. */
const MEMORY_MIB_MAX = 16 * 1024 * 1024;
/** A smaller file system would hold nothing; one as large as a file of ext4 may be. */
const WRITABLE_MIB_MIN = 16, WRITABLE_MIB_MAX = 8 * 1024 * 1024;
/** What the guest's kernel is built for. */
const VCPUS_MAX = 64;

/**
 * By the key in the configuration file. `x_y` is the environment variable QEMUBOX_X_Y, unless it is for
 * containers alone, and the annotation io.qemubox.x-y, unless it is for the host alone.
 */
export const SETTINGS = {
  share_dir: setting(PATH, {
    for: "host",
    default: "/usr/share/qemubox",
    about: "What is installed: kernel, initrd, root image in `kernel/`, programs in `bin/`",
  }),
  state_dir: setting(PATH, {
    for: "host",
    default: "/var/lib/qemubox",
    about: "What outlives a reboot",
  }),
  log_dir: setting(PATH, { for: "host", default: "/var/log/qemubox", about: "Logs" }),
  run_dir: setting(PATH, {
    for: "host",
    default: "/run/qemubox",
    about: "Leases, sockets and shared folders of running sandboxes; on a tmpfs",
  }),

  qemu_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "`<share_dir>/bin/qemu-system-x86_64`, then `/usr/bin`",
    about: "QEMU",
  }),
  kernel_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "`<share_dir>/kernel/qemubox-kernel-x86_64`",
    about: "The guest's kernel",
  }),
  root_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "`<share_dir>/kernel/qemubox-root`",
    about: "The guest's root file system (EROFS)",
  }),
  initrd_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "`<share_dir>/kernel/qemubox-initrd`",
    about: "Stage 0, which mounts the root file system",
  }),
  firmware_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "in the share folder, beside QEMU, where distributions put it",
    about: "qboot.rom",
  }),
  virtiofsd_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "in the share folder, then where distributions put it",
    about: "virtiofsd",
  }),
  vhost_device_vsock_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "as above",
    about: "vhost-device-vsock; only used where there is no `/dev/vhost-vsock`",
  }),

  mkfs_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "where distributions put it",
    about: "mkfs.ext4, which makes the template of a writable disk once for each size",
  }),

  accelerator: setting(oneOf("auto", "kvm", "tcg"), {
    for: "any",
    default: "auto",
    about: "How QEMU runs the guest; `auto` takes KVM where it works",
  }),
  boot_timeout_seconds: setting(seconds(3600), {
    for: "any",
    default: null,
    defaultText: "30 with KVM, 120 under TCG",
    about: "How long a guest may take until it is ready",
  }),
  drain_timeout_seconds: setting(seconds(3600), {
    for: "host",
    default: 30,
    about: "How long an exit waits for a reader of output that takes nothing",
  }),
  shutdown_timeout_seconds: setting(seconds(600), {
    for: "host",
    default: 2,
    about: "How long a guest may take to end by itself",
  }),

  cni_conf_dir: setting(PATH, {
    for: "host",
    default: "/etc/cni/net.d",
    about: "CNI configurations",
  }),
  cni_bin_dir: setting(PATHS, {
    for: "host",
    default: "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni",
    about: "CNI plugins, searched in this order",
  }),
  cni_network: setting(NAME, {
    for: "host",
    default: null,
    defaultText: "`qemubox-net`, if there is one",
    about: "The network of containers that name none; see [CNI_SETUP.md](CNI_SETUP.md)",
  }),

  default_vcpus: setting(whole(1, VCPUS_MAX), {
    for: "host",
    default: 1,
    about: "Processors of a VM whose container has no CPU quota; see [resources.md](resources.md)",
  }),
  default_memory_mib: setting(whole(1, MEMORY_MIB_MAX), {
    for: "host",
    default: 512,
    about: "What a container without a memory limit may use, in MiB",
  }),
  vcpus: setting(whole(1, VCPUS_MAX), {
    for: "container",
    default: null,
    defaultText: "its quota, rounded up",
    about: "Processors of the VM, whatever the container's quota is",
  }),
  vcpus_max: setting(whole(1, VCPUS_MAX), {
    for: "any",
    default: null,
    defaultText: "as many as at boot",
    about: "Processors that the VM may grow to, by updates of the quota and, without one, by load",
  }),
  vcpus_grow_percent: setting(whole(1, 100), {
    for: "host",
    default: 50,
    about:
      "Another processor comes online when something has waited for one for this part of a second",
  }),
  vcpus_cooldown_seconds: setting(seconds(3600), {
    for: "host",
    default: 30,
    about:
      "Time without pressure, or since the last look, after which a processor that load has brought may go",
  }),
  memory_mib: setting(whole(1, MEMORY_MIB_MAX), {
    for: "container",
    default: null,
    defaultText: "its limit",
    about: "What the VM has for its container, in MiB, whatever the container's limit is",
  }),
  memory_mib_max: setting(whole(1, MEMORY_MIB_MAX), {
    for: "any",
    default: null,
    defaultText: "as much as at first",
    about: "What that may grow to, in MiB, by updates of the limit and, without one, by pressure",
  }),
  memory_grow_percent: setting(whole(1, 100), {
    for: "host",
    default: 10,
    about: "The guest gets more memory when something has waited for it for this part of a second",
  }),
  memory_cooldown_seconds: setting(seconds(3600), {
    for: "host",
    default: 30,
    about:
      "Time without pressure, or since the last look, after which memory that pressure has brought may go",
  }),

  freed_memory: setting(oneOf("keep", "return"), {
    for: "any",
    default: "return",
    about:
      "Whether memory that a container has freed is the host's again; see [resources.md](resources.md)",
  }),

  layers: setting(oneOf("disk", "files"), {
    for: "any",
    default: "disk",
    about: "EROFS layers are one disk, or files over virtio-fs; see [storage.md](storage.md)",
  }),
  writable: setting(oneOf("disk", "tmpfs"), {
    for: "any",
    default: null,
    defaultText: "`disk`; `tmpfs` where one cannot be made",
    about:
      "Where what the container writes goes: to a disk in the state folder, or to the VM's memory; " +
      "a [snapshot's own image](storage.md#the-snapshots-own-image) comes before both",
  }),
  writable_mib: setting(whole(WRITABLE_MIB_MIN, WRITABLE_MIB_MAX), {
    for: "any",
    default: null,
    defaultText: "10240 on a disk, half of the VM's memory in a tmpfs",
    about: "How much that may be, in MiB",
  }),
} as const;

export type SettingKey = keyof typeof SETTINGS;

/** The schema of the configuration file as a whole: each key is optional, and no other is known. */
export const SCHEMA = z.strictObject(
  Object.fromEntries(
    Object.entries<Setting>(SETTINGS)
      .filter(([_, { for: audience }]) => audience !== "container")
      .map(([key, { schema }]) => [key, schema.optional()]),
  ),
);

/** The environment variable of a setting; null: it has none. */
export function variableOf(key: SettingKey): string | null {
  const { for: audience }: Setting = SETTINGS[key];
  return audience === "container" ? null : `QEMUBOX_${key.toUpperCase()}`;
}

export const ANNOTATION_PREFIX = "io.qemubox.";

/** The annotation of a setting; null: it has none. */
export function annotationOf(key: SettingKey): string | null {
  const { for: audience }: Setting = SETTINGS[key];
  return audience === "host" ? null : `${ANNOTATION_PREFIX}${key.replaceAll("_", "-")}`;
}

/** What a container may ask of its network by annotations alone; net/ reads them. */
export const NETWORK_ANNOTATIONS: Readonly<Record<string, string>> = {
  "io.qemubox.networks": "Names of networks, with commas between, or `none`",
  "io.qemubox.port-mappings":
    "Ports of the host that lead into the container: `[address:]hostPort:containerPort[/tcp|udp|sctp]`, …",
  "io.qemubox.ip-addresses": "Addresses to ask the first network for, with commas between",
  "io.qemubox.mac-address": "The MAC address of the first interface",
};
