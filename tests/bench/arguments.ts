import { parseArgs } from "node:util";

export const USAGE = `usage: deno task bench [OPTION]…
       deno task bench --compare BEFORE.json AFTER.json

Measures what a container in a VM costs, in the testbed (root rights needed).

  --lab           run in the lab, which has KVM on TCG: fewer rounds, and memory that counts
  --only NAME     only this measure, row or ratio; may be repeated, or names separated by commas
  --runs N        number of rounds (default 5, in the lab 2)
  --json          print the result as JSON on standard output
  --svg FILE      write a picture of the boot's timeline
  --check         exit with 1 and name the rows that miss their goal
  --kept FILE     show a kept result, with --svg and --check as above; measure nothing
  --compare A B   show two kept results side by side; measure nothing
`;

/** The command line's options. */
export interface BenchOptions {
  readonly lab: boolean;
  readonly only: readonly string[];
  /** Null for the default. */
  readonly runs: number | null;
  /** File of a kept result to show instead of measuring. */
  readonly kept: string | null;
  readonly json: boolean;
  readonly svg: string | null;
  readonly check: boolean;
  /** Files of two kept results to compare instead of measuring. */
  readonly compare: readonly [string, string] | null;
  readonly help: boolean;
}

const RUNS_MAX = 1000;

/** Parses the command line. @throws {Error} if it is not understood. */
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
        : `unexpected argument ${positionals[0]}`,
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
  if (runs < 1 || runs > RUNS_MAX) throw new Error(`--runs ${text}: must be from 1 to ${RUNS_MAX}`);
  return runs;
}
