/** The life of a task through containerd's clients, and its events. */

import assert from "node:assert/strict";
import { type Event, Events } from "../lib/containerd_events.ts";
import { Client, ctr, ctrOk, runArguments, type Snapshotter, task } from "../lib/ctr.ts";
import { until } from "../lib/wait.ts";
import { argumentsOf } from "../lib/sandbox_processes.ts";
import { e2e, logLines, withBoth } from "../lib/testbed.ts";

const KILLED_STATUS = 137;
const SOON_MS = 5_000;

e2e(
  "a detached container is listed, killed and removed, and its name can be reused at once",
  async (bench) => {
    await using events = await Events.open();
    await withBoth(async (snapshotter) => {
      const id = bench.newId();
      await runUntilKilled(id, snapshotter, events);
      await runUntilTerminated(id, snapshotter);
    });
  },
);

/** Runs a detached container with its output in a file, and kills it. */
async function runUntilKilled(
  id: string,
  snapshotter: Snapshotter,
  events: Events,
): Promise<void> {
  const output = await Deno.makeTempFile({ prefix: "e2e-output-" });
  try {
    const flags = ["-d", "--log-uri", `file://${output}`];
    const script = "echo out; echo err >&2; exec sleep 3600";
    const startedAt = Date.now() / 1000;
    await ctrOk(...runArguments(id, ["sh", "-c", script], { snapshotter, flags }));

    const { pid, status } = (await task(id))!;
    assert.equal(status, "RUNNING");
    const args = argumentsOf(pid);
    assert.match(args[0]!, /\/qemu-system-x86_64$/);
    assert.match(args[args.indexOf("-name") + 1]!, new RegExp(`^guest=default/${id}(,|$)`));
    assert.match(await ctrOk("tasks", "ps", id), /^PID\s+INFO\n\d+\s+-\n$/);
    await until("both lines in the log file", SOON_MS, async () => {
      const text = await Deno.readTextFile(output);
      return text.split("\n").toSorted().join() === ",err,out" ? true : null;
    });

    await ctrOk("tasks", "kill", "--signal", "SIGKILL", id);
    await events.wait("/tasks/exit", id, SOON_MS);
    assert.deepEqual(await task(id), { id, pid, status: "STOPPED" });
    const removed = await ctr("tasks", "rm", id);
    assert.equal(removed.code, 0);
    assert.match(removed.stderr, new RegExp(`non-zero exit code ${KILLED_STATUS}\\b`));
    assert.equal(await task(id), null);
    await ctrOk("containers", "rm", id);
    await events.wait("/tasks/delete", id, SOON_MS);
    assertEvents(events.of(id), id, pid, [startedAt, Date.now() / 1000]);
  } finally {
    await Deno.remove(output);
  }
}

/** Checks the order of containerd's runtime v2 document: create, start, exit, delete. */
function assertEvents(
  events: readonly Event[],
  id: string,
  pid: number,
  [from, to]: readonly [number, number],
): void {
  assert.deepEqual(
    events.map(({ topic }) => topic),
    ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"],
  );
  const [create, start, exit, deleted] = events.map(({ body }) => body);
  assert.equal(create!["pid"], pid);
  assert.equal(
    create!["bundle"],
    `/run/containerd/io.containerd.runtime.v2.task/default/${id}`,
  );
  assert(Array.isArray(create!["rootfs"]) && create!["rootfs"].length > 0);
  assert.match(
    (create!["io"] as Record<string, string>)["stdout"]!,
    /^file:\/\/\/tmp\/e2e-output-/,
  );
  assert.deepEqual(start, { container_id: id, pid });
  const { exited_at: exitedAt, ...rest } = exit!;
  assert.deepEqual(rest, { container_id: id, id, pid, exit_status: KILLED_STATUS });
  // The time is from the guest's clock.
  const { seconds, nanos } = exitedAt as { seconds: number; nanos?: number };
  const at = seconds + (nanos ?? 0) / 1e9;
  assert(from < at && at < to, `exited at ${at}, not between ${from} and ${to}`);
  assert.deepEqual(deleted, {
    container_id: id,
    pid,
    exit_status: KILLED_STATUS,
    exited_at: exitedAt,
  });
}

/** Runs a container in the foreground that exits at SIGTERM. */
async function runUntilTerminated(id: string, snapshotter: Snapshotter): Promise<void> {
  const script = `trap 'echo bye; exit 7' TERM
    echo ready
    sleep 3600 & wait`;
  await using client = new Client(
    runArguments(id, ["sh", "-c", script], { snapshotter, flags: ["--rm"] }),
  );
  await client.line("ready");
  await ctrOk("tasks", "kill", "--signal", "SIGTERM", id);
  const { code, stdout } = await client.ended;
  assert.deepEqual({ code, stdout }, { code: 7, stdout: "ready\nbye\n" });
  // Two containers had this id, one after the other.
  const timelines = logLines(id).filter((line) => line.includes("boot timeline"));
  assert.equal(timelines.length, 2, timelines.join("\n"));
}

e2e("a name in use is refused, and its container is not disturbed", async (bench) => {
  const id = bench.newId();
  await using client = new Client(
    runArguments(id, ["sh", "-c", "echo ready; cat"], { flags: ["--rm"] }),
    { input: true },
  );
  await client.line("ready");
  const second = await ctr(...runArguments(id, ["true"], { flags: ["--rm"] }));
  assert.equal(second.code, 1);
  assert.match(second.stderr, /already exists/);
  await client.write("still there\n");
  await client.endInput();
  const { code, stdout } = await client.ended;
  assert.deepEqual({ code, stdout }, { code: 0, stdout: "ready\nstill there\n" });
});

e2e("a command that the image lacks is named", async (bench) => {
  await withBoth(async (snapshotter) => {
    const { code, stdout, stderr } = await ctr(
      ...runArguments(bench.newId(), ["/no/such/command"], { snapshotter, flags: ["--rm"] }),
    );
    assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
    assert.match(
      stderr,
      /^ctr: [^\n]*\/no\/such\/command[^\n]*no such file or directory[^\n]*\n$/i,
    );
  });
});
