import * as z from "zod";

/**
 * Table of all settings: a new one is one entry here. Configuration file, environment variables,
 * annotations, the type `Config` (config.ts) and docs/CONFIGURATION.md derive from it; the type
 * checker asks for a test of its effect (settings_test.ts). `start` loads this file and must be
 * fast, so constants of net/ are repeated here; a test compares them.
 */

/** Who may set it: "host", an administrator; "container", an annotation alone; "any", both. */
export type Audience = "host" | "container" | "any";

/** One setting. */
export interface Setting<Schema extends z.ZodType = z.ZodType, Default = unknown> {
  /** Schema of its value in the configuration file. */
  readonly schema: Schema;
  /** Default as in the configuration file; null if there is no value by default. */
  readonly default: Default;
  /** Text of the documentation instead of the default. */
  readonly defaultText?: string;
  readonly for: Audience;
  /** Valid values, for the documentation. */
  readonly value: string;
  /** Whether text is read as a number: variables and annotations are text. */
  readonly isNumber?: boolean;
  /** Description, for the documentation. */
  readonly about: string;
}

/** A kind of value, in the file and in words. */
type Kind<Schema extends z.ZodType> = Pick<Setting<Schema>, "schema" | "value" | "isNumber">;

/** Properties of an entry besides its kind. */
type Rest<Default> = Omit<Setting<z.ZodType, Default>, keyof Kind<z.ZodType>>;

const path = z.string().regex(/^\/[^\0]*$/, "must be an absolute path");
const PATH = { schema: path, value: "a path" };
const PATHS = {
  schema: path.transform((list): readonly string[] => list.split(":")),
  value: "paths, separated by colons",
};
const IDS = {
  schema: z.string().regex(/^[1-9]\d{0,9}-[1-9]\d{0,9}$/, "must be two numbers, `first-last`")
    .transform((text) => {
      const [first, last] = text.split("-").map(Number);
      return { first: first!, last: last! };
    })
    .refine(({ first, last }) => first <= last && last < 2 ** 32 - 1, "must not be empty"),
  value: "two numbers, `first-last`",
};
const NAME = { schema: z.string().min(1), value: "a name" };
const whole = (min: number, max: number) => ({
  schema: z.int().min(min).max(max),
  value: `an integer, ${min} to ${max}`,
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
/** A smaller file system would hold nothing; a file of ext4 may be this large. */
const WRITABLE_MIB_MIN = 16, WRITABLE_MIB_MAX = 8 * 1024 * 1024;
/** Limit of the guest kernel's configuration. */
const VCPUS_MAX = 64;

/**
 * Settings by their key in the configuration file. `x_y` is the environment variable QEMUBOX_X_Y,
 * unless it is for containers alone, and the annotation io.qemubox.x-y, unless it is for the host
 * alone.
 */
export const SETTINGS = {
  share_dir: setting(PATH, {
    for: "host",
    default: "/usr/share/qemubox",
    about: "Installed files: kernel, initrd and root image in `kernel/`, programs in `bin/`",
  }),
  state_dir: setting(PATH, {
    for: "host",
    default: "/var/lib/qemubox",
    about: "Files that outlive a reboot",
  }),
  log_dir: setting(PATH, { for: "host", default: "/var/log/qemubox", about: "Logs" }),
  run_dir: setting(PATH, {
    for: "host",
    default: "/run/qemubox",
    about: "Leases, sockets and shared directories of running sandboxes; on a tmpfs",
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
    about: "Guest kernel",
  }),
  root_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "`<share_dir>/kernel/qemubox-root`",
    about: "Root file system of the guest (EROFS)",
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
    defaultText: "in `share_dir`, beside QEMU, or where distributions install it",
    about: "qboot.rom, the firmware",
  }),
  virtiofsd_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "in `share_dir`, or where distributions install it",
    about: "virtiofsd",
  }),
  vhost_device_vsock_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "in `share_dir`, or where distributions install it",
    about: "vhost-device-vsock; only used on hosts without `/dev/vhost-vsock`",
  }),

  mkfs_path: setting(PATH, {
    for: "host",
    default: null,
    defaultText: "where distributions install it",
    about: "mkfs.ext4, which makes the template of a writable disk once per size",
  }),

  user_ids: setting(IDS, {
    for: "host",
    default: "1879048192-1879113727",
    about: "User and group ids of which each sandbox's QEMU gets one; see [isolation.md]" +
      "(isolation.md)",
  }),
  accelerator: setting(oneOf("auto", "kvm", "tcg"), {
    for: "any",
    default: "auto",
    about: "How QEMU runs the guest; `auto` uses KVM where it works",
  }),
  boot_timeout_seconds: setting(seconds(3600), {
    for: "any",
    default: null,
    defaultText: "30 with KVM, 120 under TCG",
    about: "Timeout of the guest's boot, until it is ready",
  }),
  drain_timeout_seconds: setting(seconds(3600), {
    for: "host",
    default: 30,
    about: "Timeout of a reader that takes no output after the exit; the rest is dropped",
  }),
  shutdown_timeout_seconds: setting(seconds(600), {
    for: "host",
    default: 2,
    about: "Timeout of the guest's own shutdown, before QEMU is killed",
  }),
  kill_timeout_seconds: setting(seconds(600), {
    for: "host",
    default: 10,
    about:
      "Timeout of a container's exit after SIGKILL, its output included, before the VM is ended",
  }),
  guest_timeout_seconds: setting(seconds(3600), {
    for: "host",
    default: 30,
    about: "Time in which the guest of a started container answers nothing, before the VM is ended",
  }),

  cni_conf_dir: setting(PATH, {
    for: "host",
    default: "/etc/cni/net.d",
    about: "Directory of CNI configurations",
  }),
  cni_bin_dir: setting(PATHS, {
    for: "host",
    default: "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni",
    about: "Directories of CNI plugins, in search order",
  }),
  cni_network: setting(NAME, {
    for: "host",
    default: null,
    defaultText: "`qemubox-net`, if it exists",
    about: "Network of containers that name none; see [CNI_SETUP.md](CNI_SETUP.md)",
  }),
  spoofing: setting(oneOf("deny", "allow"), {
    for: "any",
    default: "deny",
    about: "Whether a VM may send with other MAC and IP addresses than its own; see " +
      "[NETWORKING.md](NETWORKING.md#spoofing)",
  }),

  default_vcpus: setting(whole(1, VCPUS_MAX), {
    for: "host",
    default: 1,
    about: "vCPUs of a VM whose container has no CPU quota; see [resources.md](resources.md)",
  }),
  default_memory_mib: setting(whole(1, MEMORY_MIB_MAX), {
    for: "host",
    default: 512,
    about: "Memory of a container without a memory limit, in MiB",
  }),
  vcpus: setting(whole(1, VCPUS_MAX), {
    for: "container",
    default: null,
    defaultText: "the container's quota, rounded up",
    about: "vCPUs of the VM, whatever the container's quota is",
  }),
  vcpus_max: setting(whole(1, VCPUS_MAX), {
    for: "any",
    default: null,
    defaultText: "the number at boot",
    about: "vCPUs that the VM may grow to, by updates of the quota and, without one, by load",
  }),
  vcpus_grow_percent: setting(whole(1, 100), {
    for: "host",
    default: 50,
    about:
      "Bring another vCPU online when tasks stalled on CPU for this percentage of a second (PSI " +
      "`some`)",
  }),
  vcpus_cooldown_seconds: setting(seconds(3600), {
    for: "host",
    default: 30,
    about:
      "Delay from the last pressure to the first check whether fewer vCPUs suffice, and between " +
      "two checks",
  }),
  memory_mib: setting(whole(1, MEMORY_MIB_MAX), {
    for: "container",
    default: null,
    defaultText: "the container's limit",
    about: "Memory of the VM for its container, in MiB, whatever the container's limit is",
  }),
  memory_mib_max: setting(whole(1, MEMORY_MIB_MAX), {
    for: "any",
    default: null,
    defaultText: "the memory at boot",
    about:
      "Memory that the VM may grow to for its container, in MiB, by updates of the limit and, " +
      "without one, by pressure",
  }),
  memory_grow_percent: setting(whole(1, 100), {
    for: "host",
    default: 10,
    about: "Add memory when tasks stalled on memory for this percentage of a second (PSI `some`)",
  }),
  memory_cooldown_seconds: setting(seconds(3600), {
    for: "host",
    default: 30,
    about:
      "Delay from the last pressure to the first check whether less memory suffices, and between " +
      "two checks",
  }),

  host_limits: setting(oneOf("on", "off"), {
    for: "host",
    default: "on",
    about:
      "Whether the sandbox's cgroup on the host (v2) has limits, too; see [resources.md](resources.md)",
  }),

  freed_memory: setting(oneOf("keep", "return"), {
    for: "any",
    default: "return",
    about:
      "Whether memory that the guest has freed returns to the host; see [resources.md](resources.md)",
  }),

  vsock: setting(oneOf("deny", "allow"), {
    for: "any",
    default: "deny",
    about: "Whether containers may make AF_VSOCK sockets; `deny` takes io_uring from them as " +
      "well; see [vsock.md](vsock.md)",
  }),

  layers: setting(oneOf("disk", "files"), {
    for: "any",
    default: "disk",
    about: "EROFS layers as one disk, or as files over virtio-fs; see [storage.md](storage.md)",
  }),
  writable: setting(oneOf("disk", "tmpfs"), {
    for: "any",
    default: null,
    defaultText: "`disk`, or `tmpfs` if no disk can be made",
    about: "Writable layer on a disk in `state_dir`, or in the VM's memory; a [snapshot's own " +
      "image](storage.md#the-snapshots-own-image) takes precedence",
  }),
  volume_privileges: setting(oneOf("deny", "allow"), {
    for: "host",
    default: "deny",
    about:
      "Whether a container may make device nodes, setuid and setgid files and file capabilities in " +
      "a writable volume; see [storage.md](storage.md#virtiofsd)",
  }),
  writable_mib: setting(whole(WRITABLE_MIB_MIN, WRITABLE_MIB_MAX), {
    for: "any",
    default: null,
    defaultText: "10240 for a disk, half of the VM's memory for a tmpfs",
    about: "Size of the writable layer, in MiB",
  }),
} as const;

export type SettingKey = keyof typeof SETTINGS;

/** Schema of the whole configuration file: each key is optional, and there are no others. */
export const SCHEMA = z.strictObject(
  Object.fromEntries(
    Object.entries<Setting>(SETTINGS)
      .filter(([_, { for: audience }]) => audience !== "container")
      .map(([key, { schema }]) => [key, schema.optional()]),
  ),
);

/** Returns the environment variable of a setting; null if it has none. */
export function variableOf(key: SettingKey): string | null {
  const { for: audience }: Setting = SETTINGS[key];
  return audience === "container" ? null : `QEMUBOX_${key.toUpperCase()}`;
}

export const ANNOTATION_PREFIX = "io.qemubox.";

/** Returns the annotation of a setting; null if it has none. */
export function annotationOf(key: SettingKey): string | null {
  const { for: audience }: Setting = SETTINGS[key];
  return audience === "host" ? null : `${ANNOTATION_PREFIX}${key.replaceAll("_", "-")}`;
}

/** Annotations of a container about its network, which net/ reads. */
export const NETWORK_ANNOTATIONS: Readonly<Record<string, string>> = {
  "io.qemubox.networks": "Names of networks, separated by commas, or `none`",
  "io.qemubox.port-mappings":
    "Ports of the host that are forwarded to the container: `[address:]hostPort:containerPort[/tcp|udp|sctp]`, …",
  "io.qemubox.ip-addresses": "Addresses to request from the first network, separated by commas",
  "io.qemubox.mac-address": "MAC address of the first interface",
};
