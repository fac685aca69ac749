import { parseArgs } from "node:util";

export const USAGE = `usage: deno task bench [OPTION]…
       deno task bench --compare BEFORE.json AFTER.json

Measures what a container in a VM costs, in the testbed (root rights needed).

  --lab           in the lab, which has KVM below TCG: fewer rounds, and memory that counts
  --only NAME     only this measure, row or ratio; repeat it, or separate names by commas
  --runs N        so many rounds (default 5, in the lab 2)
  --json          the result as JSON on standard output
  --svg FILE      a picture of the boot's timeline
  --check         end with 1 and name the rows that miss their goal
  --kept FILE     shows a kept result, with --svg and --check as above; measures nothing
  --compare A B   two kept results side by side; measures nothing
`;

/** What the command line asks for. */
export interface BenchOptions {
  readonly lab: boolean;
  readonly only: readonly string[];
  /** null: the default. */
  readonly runs: number | null;
  /** The file of a kept result to be shown instead of measuring. */
  readonly kept: string | null;
  readonly json: boolean;
  readonly svg: string | null;
  readonly check: boolean;
  /** The files of two kept results, to be compared instead of measuring. */
  readonly compare: readonly [string, string] | null;
  readonly help: boolean;
}

const RUNS_MAX = 1000;

/** @throws Error for a command line that is not understood. */
export function parseArguments(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      lab: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      runs: { type: "string" },
      json: { type: "boolean", default: false },
      svg: { type: "string" },
      kept: { type: "string" },
      check: { type: "boolean", default: false },
      compare: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (positionals.length !== (values.compare ? 2 : 0)) {
    throw new Error(
      values.compare
        ? "--compare takes two files of kept results"
        : `argument ${positionals[0]} is not understood`,
    );
  }
  return {
    lab: values.lab,
    only: values.only.flatMap((names) => names.split(",")).filter((name) => name !== ""),
    runs: values.runs === undefined ? null : runsOf(values.runs),
    json: values.json,
    svg: values.svg ?? null,
    kept: values.kept ?? null,
    check: values.check,
    compare: values.compare ? [positionals[0]!, positionals[1]!] : null,
    help: values.help,
  };
}

function runsOf(text: string): number {
  const runs = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (runs < 1 || runs > RUNS_MAX) throw new Error(`--runs ${text}: from 1 to ${RUNS_MAX}`);
  return runs;
}
