/**
 * `deno task bench` measures what a container in a VM costs; see docs/benchmarks.md. Outside of the
 * testbed it runs itself again inside, and shows the result.
 */

import { messageOf } from "../../base/mod.ts";
import { REPOSITORY } from "../../scripts/lib/paths.ts";
import { IN_TESTBED } from "../lib/environment.ts";
import { type BenchOptions, parseArguments, USAGE } from "./arguments.ts";
import { comparisonTable } from "./compare.ts";
import { measure } from "./measures.ts";
import { parseResult, type Result } from "./result.ts";
import { missed } from "./rows.ts";
import { format, resultTable } from "./table.ts";
import { timelineSvg } from "./timeline_svg.ts";

/** Exit status if something could not be measured; the rest of the result is printed. */
const FAILED_STATUS = 3;

/** Runs the command line. Returns the exit status. */
async function main(options: BenchOptions): Promise<number> {
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  if (options.compare !== null) {
    const [before, after] = options.compare.map(readKept);
    console.log(comparisonTable(before!, after!));
    return 0;
  }
  if (options.kept !== null) return show(readKept(options.kept), options);
  if (!IN_TESTBED) return await measureInTestbed(options);
  const { result, failures } = await measure(options);
  const status = show(result, options);
  for (const failure of failures) console.error(`bench: ${failure}`);
  return failures.length > 0 ? FAILED_STATUS : status;
}

function readKept(path: string): Result {
  return parseResult(Deno.readTextFileSync(path), path);
}

function show(result: Result, { json, svg, check }: BenchOptions): number {
  console.log(json ? JSON.stringify(result, null, 2) : resultTable(result));
  if (svg !== null) Deno.writeTextFileSync(svg, timelineSvg(result));
  if (!check) return 0;
  for (const { name, median, goal, unit } of missed(result.rows)) {
    console.error(`bench: ${name} is ${format(median, unit)}, its goal is at most ${goal}`);
  }
  return missed(result.rows).length === 0 ? 0 : 1;
}

/**
 * Runs itself in the testbed: progress to standard error, the result as JSON to standard output.
 */
async function measureInTestbed(options: BenchOptions): Promise<number> {
  const { lab, only, runs } = options;
  const inner = [
    ...["deno", "run", "--quiet", "--allow-all", "--config", `${REPOSITORY}/deno.json`],
    ...[`${REPOSITORY}/tests/bench/main.ts`, "--json"],
    ...only.flatMap((name) => ["--only", name]),
    ...(runs === null ? [] : ["--runs", String(runs)]),
  ];
  const { code, stdout } = await new Deno.Command(`${REPOSITORY}/scripts/testbed`, {
    args: [...(lab ? ["--kvm"] : []), ...inner],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (code !== 0 && code !== FAILED_STATUS) {
    throw new Error(`benchmark in the testbed exited with ${code}`);
  }
  const result = parseResult(new TextDecoder().decode(stdout), "output of the testbed");
  return show(result, options) || code;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(parseArguments(Deno.args)));
  } catch (error) {
    console.error(`bench: ${messageOf(error)}`);
    Deno.exit(2);
  }
}
