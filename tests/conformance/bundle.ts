/** Bundles as containerd prepares them, with busybox as the root file system. */

import type { OciResources, OciSpec } from "../../shim/plan/oci.ts";

/** What a test may change in a specification. */
export interface SpecOptions {
  readonly terminal?: boolean;
  /** Whether it has a PID namespace. Without, a container sees the processes of its machine. */
  readonly ownPids?: boolean;
  /**
   * Whether it has a cgroup namespace. Without, it sees all cgroups of its machine, and may make
   * some.
   */
  readonly ownCgroups?: boolean;
  readonly memoryBytes?: number;
  /** Limits other than that of memory. */
  readonly resources?: OciResources;
  readonly annotations?: Readonly<Record<string, string>>;
}

const APPLETS = [
  ...["sh", "cat", "head", "sleep", "true", "false", "echo", "kill", "sha256sum", "date", "stty"],
  ...["ps", "wc", "dd", "id", "env", "pwd", "tail", "seq", "tr", "ls", "mkdir", "grep", "yes"],
  ...["adjtimex", "hostname", "touch", "test", "vi", "top", "less", "tty", "sed", "chmod", "rm"],
  ...["stat", "cmp", "nproc"],
];
const CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"];

/** Writes a bundle into `folder`. */
export function makeBundle(
  folder: string,
  args: readonly string[],
  options: SpecOptions = {},
): void {
  // All mount points: runc restores a container only if they exist.
  for (const name of ["bin", "proc", "dev", "tmp", "root", "sys/fs/cgroup"]) {
    Deno.mkdirSync(`${folder}/rootfs/${name}`, { recursive: true });
  }
  // containerd's work directory of a shim: its runc keeps CRIU's files there.
  Deno.mkdirSync(`${folder}/work`);
  Deno.copyFileSync("/bin/busybox", `${folder}/rootfs/bin/busybox`);
  for (const applet of APPLETS) Deno.symlinkSync("busybox", `${folder}/rootfs/bin/${applet}`);
  Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify(spec(args, options)));
}

/** Returns a process with the default capabilities of a container. */
export function processSpec(args: readonly string[], terminal = false): Record<string, unknown> {
  return {
    args: [...args],
    cwd: "/",
    env: ["PATH=/bin", "TERM=xterm", "HOME=/root"],
    user: { uid: 0, gid: 0 },
    terminal,
    capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
    noNewPrivileges: true,
  };
}

function spec(
  args: readonly string[],
  options: SpecOptions,
): OciSpec {
  const { terminal = false, ownPids = true, ownCgroups = true } = options;
  const { memoryBytes, resources, annotations = {} } = options;
  const own = [...(ownPids ? ["pid"] : []), ...(ownCgroups ? ["cgroup"] : [])];
  const namespaces = ["mount", "ipc", "uts", "network", ...own];
  return {
    ociVersion: "1.1.0",
    process: processSpec(args, terminal),
    root: { path: "rootfs" },
    hostname: "conformance",
    annotations,
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["mode=1777"] },
      {
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: [ownCgroups ? "ro" : "rw", "nosuid", "noexec", "nodev"],
      },
    ],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      resources: {
        ...resources,
        ...(memoryBytes === undefined ? {} : { memory: { limit: memoryBytes } }),
      },
    },
  };
}
