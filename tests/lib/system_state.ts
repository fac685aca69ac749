/**
 * Snapshots of everything on a system that a container can leave behind, so that a test can check
 * "nothing is left" without trusting our own records: everything comes from /proc, /sys and the
 * directories themselves.
 */

import assert from "node:assert/strict";
import { poll } from "../../base/mod.ts";

/** Kinds of things that may be left behind. */
export const SYSTEM_KINDS = [
  "process",
  "mount",
  "namespace",
  "socket",
  "link",
  "cgroup",
  "file",
] as const;
/** `descriptor`: this process's open descriptors, for tests that acquire in their own process. */
export type Kind = typeof SYSTEM_KINDS[number] | "descriptor";

/** Options of {@link snapshot}. */
export interface SnapshotOptions {
  /** Default: SYSTEM_KINDS. */
  readonly kinds?: readonly Kind[];
  /** Directories to list with everything below them. Default: TREES. */
  readonly trees?: readonly string[];
  /** Leaves out matching descriptions, of what the test itself replaces. */
  readonly except?: RegExp;
}

/** A snapshot: per kind a sorted list of descriptions, in which duplicates count. */
export interface SystemState {
  readonly options: SnapshotOptions;
  readonly things: Readonly<Partial<Record<Kind, readonly string[]>>>;
}

/** What is in one snapshot and not in the other, as "kind: description". */
export interface Difference {
  /** Present now, and not before. */
  readonly left: readonly string[];
  /** Present before, and not now: something that belongs to others was removed. */
  readonly missing: readonly string[];
}

/** Directories where containerd, its clients and qemubox put things. */
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
 * Directories that all containers share and that stay, empty. A namespace's lease directory is not
 * one of them: it is removed with the last lease in it.
 */
const SHARED_DIRECTORIES = [
  /^\/run\/qemubox(\/(cid|uid|s|netns))?$/,
  /^\/run\/containerd\/(s|fifo)$/,
  // containerd's own shim has runc keep its states here.
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
 * Cgroups that count: those named after qemubox or a test's container. The rest belong to the host,
 * whose services come and go.
 */
const CGROUP_OF_OURS = /\/[^/]*(qemubox|e2e-|fault-|lab-)/;
const NAMESPACES = ["mnt", "net", "pid", "ipc", "uts", "user"] as const;
/** PF_KTHREAD of the kernel's include/linux/sched.h. */
const KERNEL_THREAD = 0x0020_0000;
/** SS_UNCONNECTED of the kernel's include/uapi/linux/net.h, as /proc/net/unix shows it. */
const UNCONNECTED = "01";
const POLL_MS = 2;

/** Takes a snapshot. */
export function snapshot(options: SnapshotOptions = {}): Promise<SystemState> {
  return Promise.resolve(snapshotNow(options));
}

/** Takes a snapshot synchronously. */
export function snapshotNow(options: SnapshotOptions = {}): SystemState {
  const pids = list("/proc").filter((name) => /^\d+$/.test(name));
  const look: Readonly<Record<Kind, () => string[]>> = {
    process: () => pids.flatMap(describeProcess),
    mount: () => describeMounts(read("/proc/self/mountinfo")),
    namespace: () => [...new Set(pids.flatMap(namespacesOf))],
    socket: () => describeSockets(read("/proc/net/unix")),
    link: () => describeLinks(pids),
    cgroup: () => directoriesBelow(CGROUPS).filter((path) => CGROUP_OF_OURS.test(path)),
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
 * Waits until the system is as it was before.
 *
 * @throws {AssertionError} that names all that is left or missing after `withinMs` milliseconds.
 */
export async function assertNothingLeft(
  before: SystemState,
  { withinMs = 5_000 }: { withinMs?: number } = {},
): Promise<void> {
  let lines: string[] = [];
  const look = () => {
    const { left, missing } = difference(before, snapshotNow(before.options));
    lines = [...left.map((what) => `left: ${what}`), ...missing.map((what) => `missing: ${what}`)];
    return lines.length === 0 || null;
  };
  if (await poll(look, { everyMs: POLL_MS, timeoutMs: withinMs }) !== null) return;
  assert.fail(`after ${withinMs} ms the system is not as it was:\n  ${lines.join("\n  ")}`);
}

/** Returns what is in the first list more often than in the second. */
function subtract(from: readonly string[], what: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const one of what) counts.set(one, (counts.get(one) ?? 0) + 1);
  return from.filter((one) => {
    const count = counts.get(one) ?? 0;
    counts.set(one, count - 1);
    return count <= 0;
  });
}

/** Parses proc_pid_stat(5): "pid (comm) state ppid … flags(9) … starttime(22) …". */
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

/** Parses proc_pid_mountinfo(5), without the ids: a mount that was made again is the same mount. */
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
 * Parses /proc/net/unix, proc(5): sockets that have a name. Connections to them are left out: they
 * end with the processes at both ends. So does a vsock, for which there is no such table.
 */
function describeSockets(table: string): string[] {
  return table.split("\n").slice(1).flatMap((line) => {
    const [, , , , , state, , ...path] = line.trim().split(/\s+/);
    return path.length === 0 || state !== UNCONNECTED ? [] : [path.join(" ")];
  });
}

/** Returns the network interfaces of every network namespace that has a process. */
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

function directoriesBelow(directory: string): string[] {
  return entries(directory).filter((entry) => entry.isDirectory).flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    return [path, ...directoriesBelow(path)];
  });
}

function* filesIn(directory: string): Generator<string> {
  for (const entry of entries(directory)) {
    const path = `${directory}/${entry.name}`;
    // The cache of the Deno that runs the tests may be anywhere, and grows as it compiles them.
    if (path === Deno.env.get("DENO_DIR")) continue;
    const shared = entry.isDirectory ? SHARED_DIRECTORIES : SHARED_FILES;
    if (!shared.some((one) => one.test(path))) yield path;
    if (entry.isDirectory) yield* filesIn(path);
  }
}

/**
 * Describes this process's descriptors by target, not by number; pipes and sockets without inode.
 */
function ownDescriptors(): string[] {
  return list("/proc/self/fd").flatMap((name) => link(`/proc/self/fd/${name}`))
    // The descriptor that reads this list.
    .filter((target) => !/^\/proc\/\d+\/fd$/.test(target))
    .map((target) => target.replace(/^(pipe|socket):.*/, "a $1"));
}

/** Lists a directory. A process may exit meanwhile, so any failure means that there is nothing. */
function entries(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)];
  } catch {
    return [];
  }
}

function list(directory: string): string[] {
  return entries(directory).map((entry) => entry.name);
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
