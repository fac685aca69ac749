import { say } from "../../scripts/lib/log.ts";
import type { BenchOptions } from "./arguments.ts";
import { bareDeno } from "./bare_deno.ts";
import { boot } from "./boot.ts";
import { consoleEvidence } from "./console_evidence.ts";
import { container } from "./container.ts";
import { ctrContainer } from "./ctr_container.ts";
import { exec } from "./exec.ts";
import { floor } from "./floor.ts";
import { idle } from "./idle.ts";
import { instructions } from "./instructions.ts";
import { type Measure, measureRounds } from "./measure.ts";
import { memory } from "./memory.ts";
import { network, networkNoVhost } from "./network.ts";
import { parallel } from "./parallel.ts";
import type { Result } from "./result.ts";
import { pod } from "./pod.ts";
import { rowsOf } from "./rows.ts";
import { select } from "./selection.ts";
import { shimStart } from "./shim_start.ts";
import { stdout } from "./stdout.ts";
import { storage } from "./storage.ts";
import { writable } from "./writable.ts";
import { describeMachine } from "./vm_host.ts";

/** All measures, in the order of a round. */
export const MEASURES: readonly Measure[] = [
  floor,
  bareDeno,
  boot,
  shimStart,
  container,
  ctrContainer,
  pod,
  exec,
  stdout,
  network,
  networkNoVhost,
  writable,
  storage,
  parallel(1),
  parallel(4),
  parallel(8),
  memory,
  idle,
  instructions,
];

const RUNS = 5;
/** A boot under KVM on TCG takes many seconds. */
const LAB_RUNS = 2;

/** Measures on this machine, a testbed or a lab. Returns also a line per failure. */
export async function measure(
  { only, runs }: BenchOptions,
): Promise<{ readonly result: Result; readonly failures: readonly string[] }> {
  const machine = describeMachine();
  const asked = select(MEASURES, only);
  const measures = asked.filter(({ notInLab }) => !machine.lab || !notInLab || only.length > 0);
  const { samples, failures } = await measureRounds(measures, {
    runs: runs ?? (machine.lab ? LAB_RUNS : RUNS),
    say,
  });
  if (failures.length > 0) { for (const line of consoleEvidence()) say(line); }
  return { result: { machine, rows: rowsOf(samples, machine) }, failures };
}
