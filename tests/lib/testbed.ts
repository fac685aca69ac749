/** What the tests in the testbed share: a frame for each test, and both snapshotters. */

import { poller } from "../../ffi/mod.ts";
import { ctr, ctrOk, type Snapshotter, SNAPSHOTTERS } from "./ctr.ts";
import { removeClientFifos } from "./containers.ts";
import { kill, sandboxProcesses } from "./sandbox_processes.ts";
import { assertNothingLeft, snapshot, TREES } from "./system_state.ts";
import { patience } from "./wait.ts";

export const SNAPSHOT_FOLDERS: Readonly<Record<Snapshotter, string>> = {
  overlayfs: "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots",
  erofs: "/var/lib/containerd/io.containerd.snapshotter.v1.erofs/snapshots",
};
/** The last lines of the log that a failure repeats. */
const LOG_LINES_MAX = 15;
const LOG_FOLDER = "/var/log/qemubox";
/** Those of containerd that tests put containers into. */
const NAMESPACES = ["default", "other"] as const;
/** What ends by itself shall have ended by then. */
const LEFT_WITHIN_MS = patience(5_000);

/** What one test works with. */
export interface Bench {
  /** A container id that nobody else has; it is cleared away when the test fails. */
  newId(label?: string): string;
}

/**
 * A test that has to leave the system as it found it: processes, mounts, sockets, namespaces,
 * folders, and what containerd knows. Whatever one that fails leaves is removed, so that the next
 * can be judged. Skipped outside of the testbed.
 */
export function e2e(name: string, work: (bench: Bench) => Promise<void>): void {
  testbedTest(name, "e2e", work);
}

/** As {@link e2e}, for a test of a fault in one container, whose id it is given. */
export function fault(name: string, work: (id: string) => Promise<void>): void {
  testbedTest(name, "fault", ({ newId }) => work(newId()));
}

/**
 * The frame of both.
 * @param prefix of all container ids; system_state.ts knows it
 */
export function testbedTest(
  name: string,
  prefix: "e2e" | "fault" | "lab",
  work: (bench: Bench) => Promise<void>,
  { ignore = Deno.env.get("QEMUBOX_TESTBED") !== "1" }: { ignore?: boolean } = {},
): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      await mountAllLayers();
      await collectGarbage();
      const trees = [...TREES, ...Object.values(SNAPSHOT_FOLDERS)];
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
        const said = ids.flatMap(logged);
        for (const id of ids) await clearAway(id);
        // What containerd clears away by itself is not to be the next test's.
        await collectGarbage();
        await assertNothingLeft(before, { withinMs: LEFT_WITHIN_MS }).catch(() => {});
        throw said.length > 0 ? tellWith(error, said) : error;
      }
    },
  });
}

/** What the shims and the guests logged of a container. */
function logged(id: string): string[] {
  return ["qemubox.log", "console.log"].flatMap((file) => logLines(id, file));
}

/** The log travels with the failure: a report repeats that, and no more. */
function tellWith(error: unknown, lines: readonly string[]): Error {
  const { message } = error as Error;
  const log = lines.slice(-LOG_LINES_MAX).join("\n");
  return new Error(`${message}\nlogged:\n${log}`, { cause: error });
}

/** Does the work for both snapshotters at the same time: there are two processors. */
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

/** The lines about a container in a log that all shims share; none when nothing was logged yet. */
export function logLines(id: string, file = "qemubox.log"): string[] {
  let lines: string[];
  try {
    lines = Deno.readTextFileSync(`${LOG_FOLDER}/${file}`).split("\n");
  } catch {
    return [];
  }
  const mark = file === "qemubox.log" ? ` id=${id}` : `/${id}: `;
  return lines.filter((line) => line.endsWith(mark) || line.includes(`${mark} `));
}

let layersMounted: Promise<void> | null = null;

/**
 * The EROFS snapshotter mounts a layer when it is first used and leaves it mounted: not for us to
 * undo. So all are used once.
 */
function mountAllLayers(): Promise<void> {
  return layersMounted ??= (async () => {
    const snapshots = ["snapshots", "--snapshotter", "erofs"];
    const lines = (await ctrOk(...snapshots, "ls")).split("\n").map((line) => line.split(/\s+/));
    const parents = new Set(lines.map(([, parent]) => parent));
    for (const [name] of lines) {
      if (!name?.startsWith("sha256:") || parents.has(name)) continue;
      await ctrOk(...snapshots, "view", "e2e-warm-up", name);
      // containerd may have collected it already: nothing refers to it.
      await ctr(...snapshots, "rm", "e2e-warm-up");
    }
  })();
}

/** containerd removes the folders of snapshots that are no more by and by; or when told to, like this. */
async function collectGarbage(): Promise<void> {
  await ctrOk("leases", "create", "--id", "e2e-garbage");
  await ctrOk("leases", "rm", "--sync", "e2e-garbage");
}

/** Containers, tasks and snapshots. */
async function whatContainerdKnows(): Promise<string> {
  const lists = await Promise.all([
    ctrOk("containers", "ls"),
    ctrOk("tasks", "ls"),
    ...SNAPSHOTTERS.map((name) => ctrOk("snapshots", "--snapshotter", name, "ls")),
  ]);
  return lists.join("");
}

/** Ends a container of a test that failed. */
async function clearAway(id: string): Promise<void> {
  for (const namespace of NAMESPACES) {
    for (const { pid } of sandboxProcesses(id, namespace)) kill(pid, "SIGKILL");
    await ctr("--namespace", namespace, "tasks", "rm", "--force", id);
    removeClientFifos(id);
    await ctr("--namespace", namespace, "containers", "rm", id);
  }
}
