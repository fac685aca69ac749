/** Bundles as containerd prepares them, with a busybox for a root file system. */

import type { OciResources, OciSpec } from "../../shim/plan/oci.ts";

/** What a test may want otherwise. */
export interface SpecOptions {
  readonly terminal?: boolean;
  /** Without one of its own, a container sees the processes of the machine that it runs on. */
  readonly ownPids?: boolean;
  /** Without a namespace of its own, a container sees all cgroups of its machine, and may make some. */
  readonly ownCgroups?: boolean;
  readonly memoryBytes?: number;
  /** Beside the limit of memory. */
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

/** Makes `folder` a bundle. */
export function makeBundle(
  folder: string,
  args: readonly string[],
  options: SpecOptions = {},
): void {
  // With all mount points: containerd's runc restores a container only where they are.
  for (const name of ["bin", "proc", "dev", "tmp", "root", "sys/fs/cgroup"]) {
    Deno.mkdirSync(`${folder}/rootfs/${name}`, { recursive: true });
  }
  // containerd's folder for what a shim needs beside: its runc has CRIU's files in it.
  Deno.mkdirSync(`${folder}/work`);
  Deno.copyFileSync("/bin/busybox", `${folder}/rootfs/bin/busybox`);
  for (const applet of APPLETS) Deno.symlinkSync("busybox", `${folder}/rootfs/bin/${applet}`);
  Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify(spec(args, options)));
}

/** A process that may do what a container's may by default. */
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
