import type { Samples } from "./rows.ts";
import type { Unit } from "./result.ts";

/** One or more values for each row that one round of a measure has found. */
export type Values = Readonly<Record<string, number | readonly number[]>>;

/** Something that can be measured again and again. */
export interface Measure {
  readonly name: string;
  /** The rows it gives, in the order in which they are shown. */
  readonly rows: Readonly<Record<string, Unit>>;
  /** What takes long, or always gives the same, is measured in fewer rounds. */
  readonly roundsMax?: number;
  /** Measured in the lab only when it is asked for by name. */
  readonly notInLab?: boolean;
  /** One round. It leaves nothing behind, also when it fails. */
  run(): Promise<Values>;
}

export interface RoundsOptions {
  readonly runs: number;
  readonly say?: (line: string) => void;
}

/** What the rounds gave. */
export interface Measured {
  readonly samples: readonly Samples[];
  /** One line for each measure that failed in some round; its values of that round are missing. */
  readonly failures: readonly string[];
}

/**
 * Measures round by round, each thing once in each, so that whatever else the machine does hits all
 * of them alike and the values of one round can be set against each other. A measure that fails costs
 * its own values of that round and no others.
 */
export async function measureRounds(
  measures: readonly Measure[],
  { runs, say = () => {} }: RoundsOptions,
): Promise<Measured> {
  const found = new Map<string, number[][]>();
  const failures: string[] = [];
  for (let round = 0; round < runs; round++) {
    for (const measure of measures) {
      if (round >= (measure.roundsMax ?? runs)) continue;
      say(`round ${round + 1} of ${runs}: ${measure.name}`);
      try {
        for (const [row, value] of Object.entries(await measure.run())) {
          if (!(row in measure.rows)) throw new Error(`there is no row ${row}`);
          const rounds = found.get(row) ?? [];
          found.set(row, rounds);
          rounds[round] = typeof value === "number" ? [value] : [...value];
        }
      } catch (error) {
        failures.push(`round ${round + 1}: ${measure.name}: ${(error as Error).message}`);
        say(failures.at(-1)!);
      }
    }
  }
  const samples = measures.flatMap(({ rows }) =>
    Object.entries(rows).map(([name, unit]) => {
      const rounds = found.get(name) ?? [];
      return { name, unit, rounds: Array.from(rounds, (values) => values ?? []) };
    })
  );
  return { samples, failures };
}
