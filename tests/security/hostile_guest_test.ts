/**
 * A guest that was taken over (hostile_vminitd.ts): it floods its shim, answers wrongly or not at
 * all, and costs the host little; nothing in the sandbox makes a call hang.
 */

import assert from "node:assert/strict";
import { delay } from "../../base/mod.ts";
import { configured } from "../lib/configured.ts";
import { Events } from "../lib/containerd_events.ts";
import { FOREVER, removeContainer, startDetached } from "../lib/containers.ts";
import { cpuPercent } from "../lib/cpu_time.ts";
import { Client, ctr, ctrOk, runArguments } from "../lib/ctr.ts";
import { FULL } from "../lib/environment.ts";
import { KILLED_STATUS } from "../lib/kills.ts";
import { sandboxProcesses, shimOf } from "../lib/sandbox_processes.ts";
import { e2e, logLines } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";
import { allEnded, assertDeadlinePassed, removeByForce } from "./forced_removal.ts";
import { MISDEEDS } from "./misdeeds.ts";

const ROOT = new URL("../../_output/qemubox-hostile-root", import.meta.url).pathname;
const FLOOD_MS = FULL ? 60_000 : 8_000;
/** Time until a flood has begun, and what may come at once is used up. */
const BEGUN_MS = 4_000;
/** The guest floods longer than it is looked at. */
const FLOOD_SECONDS = (BEGUN_MS + FLOOD_MS) / 1000 + 1;
/** Whose calls are refused at the same time. */
const CLIENTS = 4;
const IDLE_MS = 5_000;
/** More than without a flood. A short look at a busy machine sees more than a minute does. */
const CPU_PERCENT_MAX = FULL ? 5 : 10;
/** The calls that are refused are clients' of the host, and cost the shim as much as any. */
const REFUSALS_CPU_PERCENT_MAX = 10;
const GROWTH_MIB_MAX = 32;
/**
 * How much longer another sandbox may take: the guest under TCG uses a CPU, and a machine that runs
 * tests has few.
 */
const OTHER_TIMES_MAX = FULL ? 1 : 5, OTHER_MORE_MS_MAX = FULL ? 100 : 1_000;
const EVENTS_PER_SECOND_MAX = 10;
/** Messages that show that a guest does flood. */
const FLOODED_MIN = 20;
/** Of all logs about the sandbox. */
const LOG_BYTES_MAX = 1024 * 1024;
const SOON_MS = patience(10_000);

/** Returns a number of /proc/PID/status in MiB: VmHWM is the most memory since `resetPeak`. */
function statusMib(pid: number, name: "VmRSS" | "VmHWM"): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(text)![1]) / 1024;
}

const resetPeak = (pid: number) => Deno.writeTextFileSync(`/proc/${pid}/clear_refs`, "5");

/** Times calls that another sandbox answers while `during` lasts. Returns their median in ms. */
async function bystanderMs(id: string, during: Promise<unknown>): Promise<number> {
  const times: number[] = [];
  let lasts = true;
  void during.finally(() => lasts = false);
  while (lasts) {
    const startedAt = performance.now();
    await ctrOk("task", "ps", id);
    times.push(performance.now() - startedAt);
  }
  return times.toSorted((a, b) => a - b)[times.length >> 1]!;
}

/** Starts a container whose guest is hostile. */
async function startHostile(id: string): Promise<void> {
  using _ = configured({ root_path: ROOT });
  await ctrOk(...runArguments(id, FOREVER, { flags: ["-d"] }));
}

const exec = (id: string, execId: string, ...command: string[]) =>
  new Client(["task", "exec", "--exec-id", execId, id, ...command]);

/** What a flood is measured against. */
interface Quiet {
  readonly percent: number;
  readonly mib: number;
  readonly otherMs: number;
}

/** Checks that a flood costs the host little, while it lasts. */
async function assertBounded(
  name: string,
  { id, other }: { readonly id: string; readonly other: string },
  quiet: Quiet,
  percentMax = CPU_PERCENT_MAX,
): Promise<void> {
  const shim = shimOf(id);
  const measured = cpuPercent(shim, FLOOD_MS);
  const otherMs = await bystanderMs(other, measured);
  const percent = await measured;
  const grown = statusMib(shim, "VmHWM") - quiet.mib;
  console.log(
    `${name}: ${percent.toFixed(1)} % of a CPU (${quiet.percent.toFixed(1)} before), ` +
      `${grown.toFixed(1)} MiB more, another sandbox answers in ${otherMs.toFixed(0)} ms ` +
      `(${quiet.otherMs.toFixed(0)} before)`,
  );
  assert.ok(percent - quiet.percent < percentMax, `${name}: ${percent} % of a CPU`);
  assert.ok(grown < GROWTH_MIB_MAX, `${name}: ${grown} MiB more`);
  const hangs = otherMs > OTHER_TIMES_MAX * quiet.otherMs + OTHER_MORE_MS_MAX;
  assert.ok(!hangs, `${name}: another sandbox answers in ${otherMs} ms`);
}

/**
 * Events and answers that nobody asked for, as fast as they are taken. The process by which the
 * guest is told to begin runs and ends.
 */
async function floodMessages(id: string, other: string, quiet: Quiet): Promise<void> {
  await using events = await Events.open();
  const startedAt = performance.now();
  await using client = exec(id, `${MISDEEDS.flood}-${FLOOD_SECONDS}`, "true");
  await delay(BEGUN_MS);
  await assertBounded("events and answers", { id, other }, quiet);
  await client.output();
  const seconds = (performance.now() - startedAt) / 1000;

  const counts = Map.groupBy(events.of(id), ({ topic }) => topic);
  for (const [topic, { length }] of counts) {
    assert.ok(length <= EVENTS_PER_SECOND_MAX * seconds, `${length} events ${topic}`);
  }
  assert.ok(counts.get("/tasks/oom")!.length > FLOODED_MIN, "the guest has sent no events");
  const lies = await until("what the guest says", SOON_MS, () => {
    const said = logLines(id, "console.log").flatMap((one) => /sent (\d+) lies/.exec(one) ?? []);
    return said[1] ?? null;
  });
  console.log(`${lies} lies of each kind`);
  assert.ok(Number(lies) > FLOODED_MIN, `the guest has sent ${lies} lies of each kind`);
}

/** Each exec fails with the guest's reason, which cannot act on a terminal or a log. */
async function floodRefusals(id: string, other: string, quiet: Quiet): Promise<void> {
  let count = 0, lasts = true;
  const bounded = assertBounded("refusals", { id, other }, quiet, REFUSALS_CPU_PERCENT_MAX)
    .finally(() => lasts = false);
  const refuse = async () => {
    while (lasts) {
      const { code, stderr } = await exec(id, `${MISDEEDS.refused}-${count++}`, "true").ended;
      assert.equal(code, 1);
      assert.match(stderr, /guest refused stream [^ ]+: /);
      // deno-lint-ignore no-control-regex
      assert.doesNotMatch(stderr.trimEnd(), /[\x00-\x1f]/);
    }
  };
  await Promise.all([bounded, ...Array.from({ length: CLIENTS }, refuse)]);
  console.log(`${count} refusals`);
}

/** An answer of a gigabyte ends the VM, and nothing of it is read. */
async function endByOversizedAnswer(id: string, quiet: Quiet): Promise<void> {
  await using events = await Events.open();
  const shim = shimOf(id);
  await using _client = exec(id, MISDEEDS.oversized, "true");
  const { body } = await events.wait("/tasks/exit", id, SOON_MS);
  assert.equal(body["exit_status"], KILLED_STATUS);
  assertNoQemu(id);
  const grown = statusMib(shim, "VmHWM") - quiet.mib;
  assert.ok(grown < GROWTH_MIB_MAX, `${grown} MiB more`);
  assert.equal(logLines(id).filter((line) => line.includes("the VM is lost")).length, 1);
}

function assertNoQemu(id: string): void {
  assert.deepEqual(sandboxProcesses(id).filter(({ role }) => role === "qemu"), []);
}

e2e("floods of a guest that was taken over cost the host little", async ({ newId }) => {
  const [id, other] = [newId(), newId("other")];
  await startDetached(other);
  await startHostile(id);
  const shim = shimOf(id);
  resetPeak(shim);
  const idle = cpuPercent(shim, IDLE_MS);
  const quiet: Quiet = {
    otherMs: await bystanderMs(other, idle),
    percent: await idle,
    mib: statusMib(shim, "VmRSS"),
  };
  // Nothing answers it until the floods are over.
  await using stalled = exec(id, MISDEEDS.stalled, "true");
  await floodMessages(id, other, quiet);
  await floodRefusals(id, other, quiet);
  const { code, stderr } = await stalled.ended;
  assert.equal(code, 1);
  assert.match(stderr, /guest did not answer the opening of stream .*within 30 s/);

  await endByOversizedAnswer(id, quiet);
  const logged = ["qemubox.log", "console.log"].flatMap((file) => logLines(id, file)).join("\n");
  assert.ok(logged.length < LOG_BYTES_MAX, `${logged.length} bytes in logs`);
  for (const one of [id, other]) {
    await ctr("task", "rm", "--force", one);
    await removeContainer(one);
  }
});

e2e("ctr task rm -f returns though the guest reports no exit", async ({ newId }) => {
  const id = newId();
  await startHostile(id);
  await exec(id, MISDEEDS.noExits, "true").output();
  assert.equal((await removeByForce(id)).code, 0);
  assertDeadlinePassed(id);
  await allEnded(id, SOON_MS);
  await removeContainer(id);
});
