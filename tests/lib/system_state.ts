/**
 * What a system holds at one moment, as far as a container can leave anything in it, so that a test
 * can say "nothing is left" without believing our own books: everything comes from /proc, /sys and
 * the folders themselves.
 */

import assert from "node:assert/strict";

/** The kinds of things of which something may be left. */
export const SYSTEM_KINDS = [
  "process",
  "mount",
  "namespace",
  "socket",
  "link",
  "cgroup",
  "file",
] as const;
/** `descriptor`: this process's own open ones, for tests that acquire in their own process. */
export type Kind = typeof SYSTEM_KINDS[number] | "descriptor";

/** What a snapshot covers. */
export interface SnapshotOptions {
  /** Default: SYSTEM_KINDS. */
  readonly kinds?: readonly Kind[];
  /** Folders that are listed with everything below them; default: TREES. */
  readonly trees?: readonly string[];
  /** Descriptions that match are left out: of what the test itself replaces. */
  readonly except?: RegExp;
}

/** Of each kind a sorted list of descriptions; the same one may be there several times. */
export interface SystemState {
  readonly options: SnapshotOptions;
  readonly things: Readonly<Partial<Record<Kind, readonly string[]>>>;
}

/** One thing that is in one snapshot and not in the other, "kind: description". */
export interface Difference {
  /** There now, and not before. */
  readonly left: readonly string[];
  /** There before, and not now: somebody else's was taken away. */
  readonly missing: readonly string[];
}

/** Where containerd, its clients and we put things. */
export const TREES: readonly string[] = [
  "/run/qemubox",
  "/run/containerd",
  "/run/netns",
  "/var/lib/qemubox",
  "/var/lib/containerd/io.containerd.runtime.v2.task",
  "/etc/qemubox",
  "/tmp",
  "/var/tmp",
  "/dev/shm",
];

/**
 * Folders that all containers share and that stay, empty. The lease folder of a namespace is none:
 * it goes with the last lease in it.
 */
const SHARED_FOLDERS = [
  /^\/run\/qemubox(\/(cid|s|netns))?$/,
  /^\/run\/containerd\/(s|fifo)$/,
  // Where containerd's own shim has runc keep its states.
  /^\/run\/containerd\/runc(\/[^/]+)?$/,
  /^\/(run|var\/lib)\/containerd\/io\.containerd\.runtime\.v2\.task\/[^/]+$/,
  /^\/var\/lib\/qemubox(\/templates)?$/,
  /^\/etc\/qemubox$/,
];
/** Files that all containers share and that stay. */
const SHARED_FILES = [
  /^\/run\/qemubox\/netns\/\.lock(\.gc)?$/,
  /^\/var\/lib\/qemubox\/network\.db(-wal|-shm)?$/,
  /^\/var\/lib\/qemubox\/templates\/ext4-[^/]*$/,
];
const CGROUPS = "/sys/fs/cgroup";
/**
 * The tree is the host's, whose services come and go: only groups that are named after us, or after
 * a container of a test, count.
 */
const CGROUP_OF_OURS = /\/[^/]*(qemubox|e2e-|fault-|lab-)/;
const NAMESPACES = ["mnt", "net", "pid", "ipc", "uts", "user"] as const;
/** PF_KTHREAD of the kernel's include/linux/sched.h. */
const KERNEL_THREAD = 0x0020_0000;
/** SS_UNCONNECTED of the kernel's include/uapi/linux/net.h, as /proc/net/unix shows it. */
const UNCONNECTED = "01";
const POLL_MS = 2;

/** Looks at everything now. */
export function snapshot(options: SnapshotOptions = {}): Promise<SystemState> {
  return Promise.resolve(snapshotNow(options));
}

/** As `snapshot`, without giving way to anything else. */
export function snapshotNow(options: SnapshotOptions = {}): SystemState {
  const pids = list("/proc").filter((name) => /^\d+$/.test(name));
  const look: Readonly<Record<Kind, () => string[]>> = {
    process: () => pids.flatMap(describeProcess),
    mount: () => describeMounts(read("/proc/self/mountinfo")),
    namespace: () => [...new Set(pids.flatMap(namespacesOf))],
    socket: () => describeSockets(read("/proc/net/unix")),
    link: () => describeLinks(pids),
    cgroup: () => foldersBelow(CGROUPS).filter((path) => CGROUP_OF_OURS.test(path)),
    file: () => (options.trees ?? TREES).flatMap((tree) => [...filesIn(tree)]),
    descriptor: ownDescriptors,
  };
  const kinds = options.kinds ?? SYSTEM_KINDS;
  const seen = (kind: Kind) => look[kind]().filter((what) => !options.except?.test(what)).sort();
  return { options, things: Object.fromEntries(kinds.map((kind) => [kind, seen(kind)])) };
}

/** Compares two snapshots; each thing counts as often as it is there. Pure. */
export function difference(before: SystemState, after: SystemState): Difference {
  const kinds = Object.keys({ ...before.things, ...after.things }) as Kind[];
  const more = (one: SystemState, other: SystemState) =>
    kinds.flatMap((kind) =>
      subtract(one.things[kind] ?? [], other.things[kind] ?? []).map((what) => `${kind}: ${what}`)
    );
  return { left: more(after, before), missing: more(before, after) };
}

/**
 * Waits until the system is again as it was.
 * @throws AssertionError that names all that is left, or missing, when the time is over.
 */
export async function assertNothingLeft(
  before: SystemState,
  { withinMs = 5_000 }: { withinMs?: number } = {},
): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  for (;;) {
    const { left, missing } = difference(before, snapshotNow(before.options));
    if (left.length + missing.length === 0) return;
    if (performance.now() > giveUpAt) {
      const lines = [
        ...left.map((what) => `left: ${what}`),
        ...missing.map((w) => `missing: ${w}`),
      ];
      assert.fail(`after ${withinMs} ms the system is not as it was:\n  ${lines.join("\n  ")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** What is in the first list and not, or less often, in the second. */
function subtract(from: readonly string[], what: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const one of what) counts.set(one, (counts.get(one) ?? 0) + 1);
  return from.filter((one) => {
    const count = counts.get(one) ?? 0;
    counts.set(one, count - 1);
    return count <= 0;
  });
}

/** proc_pid_stat(5): "pid (comm) state ppid … flags(9) … starttime(22) …". */
function describeProcess(pid: string): string[] {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === "") return [];
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if ((Number(fields[6]) & KERNEL_THREAD) !== 0) return [];
  const comm = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
  const command = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
  const text = command === "" ? `(${comm}) in state ${fields[0]}` : command;
  return [`${pid} started at ${fields[19]}: ${text}`];
}

/** proc_pid_mountinfo(5). Without the ids: a mount that is made again is the same to everybody. */
function describeMounts(mountinfo: string): string[] {
  return mountinfo.split("\n").filter((line) => line !== "").map((line) => {
    const [mount, superblock] = line.split(" - ");
    const [, , , root, target] = mount!.split(" ");
    const [type, source] = superblock!.split(" ");
    return `${target} is ${root} of ${type} ${source}`;
  });
}

function namespacesOf(pid: string): string[] {
  return NAMESPACES.flatMap((kind) => link(`/proc/${pid}/ns/${kind}`));
}

/**
 * proc(5), /proc/net/unix: sockets that have a name. Connections to them are left out: they go with
 * the processes at both ends. So does a vsock, for which there is no such table.
 */
function describeSockets(table: string): string[] {
  return table.split("\n").slice(1).flatMap((line) => {
    const [, , , , , state, , ...path] = line.trim().split(/\s+/);
    return path.length === 0 || state !== UNCONNECTED ? [] : [path.join(" ")];
  });
}

/** The network interfaces of every network namespace that a process lives in. */
function describeLinks(pids: readonly string[]): string[] {
  const seen = new Set<string>();
  return pids.flatMap((pid) => {
    const [namespace] = link(`/proc/${pid}/ns/net`);
    if (namespace === undefined || seen.has(namespace)) return [];
    seen.add(namespace);
    const names = read(`/proc/${pid}/net/dev`).split("\n").slice(2).filter((line) => line !== "");
    return names.map((line) => `${line.split(":")[0]!.trim()} in ${namespace}`);
  });
}

function foldersBelow(folder: string): string[] {
  return entries(folder).filter((entry) => entry.isDirectory).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return [path, ...foldersBelow(path)];
  });
}

function* filesIn(folder: string): Generator<string> {
  for (const entry of entries(folder)) {
    const path = `${folder}/${entry.name}`;
    // The cache of the Deno that runs the tests may lie anywhere, and grows as it compiles them.
    if (path === Deno.env.get("DENO_DIR")) continue;
    const shared = entry.isDirectory ? SHARED_FOLDERS : SHARED_FILES;
    if (!shared.some((one) => one.test(path))) yield path;
    if (entry.isDirectory) yield* filesIn(path);
  }
}

/** By what they are, not by number: "pipe" and "socket" without their inode. */
function ownDescriptors(): string[] {
  return list("/proc/self/fd").flatMap((name) => link(`/proc/self/fd/${name}`))
    // The one with which this very list is read.
    .filter((target) => !/^\/proc\/\d+\/fd$/.test(target))
    .map((target) => target.replace(/^(pipe|socket):.*/, "a $1"));
}

/** Whatever is looked at here may just have gone: that is an answer, not an error. */
function entries(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch {
    return [];
  }
}

function list(folder: string): string[] {
  return entries(folder).map((entry) => entry.name);
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function link(path: string): string[] {
  try {
    return [Deno.readLinkSync(path)];
  } catch {
    return [];
  }
}
