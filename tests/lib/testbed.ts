/** Frame of each test in the testbed, and both snapshotters. */

import { messageOf, readIfPresent } from "../../base/mod.ts";
import { poller } from "../../ffi/mod.ts";
import { ctr, ctrOk, type Snapshotter, SNAPSHOTTERS } from "./ctr.ts";
import { removeClientFifos } from "./containers.ts";
import { IN_TESTBED } from "./environment.ts";
import { kill, sandboxProcesses } from "./sandbox_processes.ts";
import { assertNothingLeft, snapshot, TREES } from "./system_state.ts";
import { patience } from "./wait.ts";

export const SNAPSHOT_DIRECTORIES: Readonly<Record<Snapshotter, string>> = {
  overlayfs: "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots",
  erofs: "/var/lib/containerd/io.containerd.snapshotter.v1.erofs/snapshots",
};
/** How many of the last log lines a failure repeats. */
const LOG_LINES_MAX = 15;
const LOG_DIRECTORY = "/var/log/qemubox";
/** Namespaces of containerd that tests put containers into. */
const NAMESPACES = ["default", "other"] as const;
/** Within this time everything that ends by itself must have ended. */
const LEFT_WITHIN_MS = patience(5_000);

/** What a test in the testbed works with. */
export interface Bench {
  /** Returns a unique container id; its container is removed if the test fails. */
  newId(label?: string): string;
}

/**
 * Defines a test that has to leave the system as it found it: processes, mounts, sockets,
 * namespaces, files, and what containerd knows. What a failed test leaves is removed, so that the
 * next one can be judged. Skipped outside of the testbed.
 */
export function e2e(name: string, work: (bench: Bench) => Promise<void>): void {
  testbedTest(name, "e2e", work);
}

/** Defines a test as {@link e2e} does, for a fault in one container, whose id it receives. */
export function fault(name: string, work: (id: string) => Promise<void>): void {
  testbedTest(name, "fault", ({ newId }) => work(newId()));
}

/**
 * Defines a test as {@link e2e} does.
 *
 * @param prefix of all container ids; system_state.ts knows it
 */
export function testbedTest(
  name: string,
  prefix: "e2e" | "fault" | "lab",
  work: (bench: Bench) => Promise<void>,
  { ignore = !IN_TESTBED }: { ignore?: boolean } = {},
): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      await mountAllLayers();
      await collectGarbage();
      const trees = [...TREES, ...Object.values(SNAPSHOT_DIRECTORIES)];
      const before = await snapshot({ trees });
      const known = await whatContainerdKnows();
      const ids: string[] = [];
      const newId = (label = "c") => {
        const id = `${prefix}-${label}-${crypto.randomUUID().slice(0, 8)}`;
        ids.push(id);
        return id;
      };
      try {
        await work({ newId });
        await poller.idle();
        await collectGarbage();
        await assertNothingLeft(before, { withinMs: LEFT_WITHIN_MS });
        const left = await whatContainerdKnows();
        if (left !== known) throw new Error(`containerd knows more than before:\n${left}`);
      } catch (error) {
        const lines = ids.flatMap(logged);
        for (const id of ids) await clearAway(id);
        // What containerd removes by itself must not count against the next test.
        await collectGarbage();
        await assertNothingLeft(before, { withinMs: LEFT_WITHIN_MS }).catch(() => {});
        throw lines.length > 0 ? withLog(error, lines) : error;
      }
    },
  });
}

/** Returns what the shims and the guests logged about a container. */
function logged(id: string): string[] {
  return ["qemubox.log", "console.log"].flatMap((file) => logLines(id, file));
}

/** Adds the log to a failure's message, since reports repeat nothing else. */
function withLog(error: unknown, lines: readonly string[]): Error {
  const log = lines.slice(-LOG_LINES_MAX).join("\n");
  return new Error(`${messageOf(error)}\nlogged:\n${log}`, { cause: error });
}

/** Runs `work` for both snapshotters at the same time, since there are two CPUs. */
export async function withBoth(work: (snapshotter: Snapshotter) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(SNAPSHOTTERS.map(work));
  const failures = outcomes.flatMap((outcome, index) =>
    outcome.status === "fulfilled"
      ? []
      : [new Error(`with snapshotter ${SNAPSHOTTERS[index]}`, { cause: outcome.reason })]
  );
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, "with both snapshotters");
}

/**
 * Returns the lines about a container in a log that all shims share; none if there is no log yet.
 */
export function logLines(id: string, file = "qemubox.log"): string[] {
  const lines = readIfPresent(`${LOG_DIRECTORY}/${file}`)?.split("\n") ?? [];
  const mark = file === "qemubox.log" ? ` id=${id}` : `/${id}:`;
  return lines.filter((line) => line.endsWith(mark) || line.includes(`${mark} `));
}

let layersMounted: Promise<void> | null = null;

/**
 * Uses every EROFS layer once. The snapshotter mounts a layer at its first use and leaves it
 * mounted, which is not for us to undo.
 */
function mountAllLayers(): Promise<void> {
  return layersMounted ??= (async () => {
    const snapshots = ["snapshots", "--snapshotter", "erofs"];
    const lines = (await ctrOk(...snapshots, "ls")).split("\n").map((line) => line.split(/\s+/));
    const parents = new Set(lines.map(([, parent]) => parent));
    for (const [name] of lines) {
      if (!name?.startsWith("sha256:") || parents.has(name)) continue;
      await ctrOk(...snapshots, "view", "e2e-warm-up", name);
      // containerd may have collected it already, since nothing refers to it.
      await ctr(...snapshots, "rm", "e2e-warm-up");
    }
  })();
}

/** Runs containerd's garbage collection now; by default it removes old snapshots after a while. */
async function collectGarbage(): Promise<void> {
  await ctrOk("leases", "create", "--id", "e2e-garbage");
  await ctrOk("leases", "rm", "--sync", "e2e-garbage");
}

/** Returns containerd's lists of containers, tasks and snapshots. */
async function whatContainerdKnows(): Promise<string> {
  const lists = await Promise.all([
    ctrOk("containers", "ls"),
    ctrOk("tasks", "ls"),
    ...SNAPSHOTTERS.map((name) => ctrOk("snapshots", "--snapshotter", name, "ls")),
  ]);
  return lists.join("");
}

/** Removes a container of a failed test. */
async function clearAway(id: string): Promise<void> {
  for (const namespace of NAMESPACES) {
    for (const { pid } of sandboxProcesses(id, namespace)) kill(pid, "SIGKILL");
    await ctr("--namespace", namespace, "tasks", "rm", "--force", id);
    removeClientFifos(id);
    await ctr("--namespace", namespace, "containers", "rm", id);
  }
}
