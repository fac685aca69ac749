import { messageOf } from "../../base/mod.ts";
import type { Samples } from "./rows.ts";
import type { Unit } from "./result.ts";

/** What a round of a measure found: one or more values per row. */
export type Values = Readonly<Record<string, number | readonly number[]>>;

/** Something that can be measured repeatedly. */
export interface Measure {
  readonly name: string;
  /** Its rows, in the order in which they are shown. */
  readonly rows: Readonly<Record<string, Unit>>;
  /** Maximum of rounds, for what takes long or always gives the same. */
  readonly roundsMax?: number;
  /** Whether the lab measures it only if it is named. */
  readonly notInLab?: boolean;
  /** Runs a round. It leaves nothing behind, even if it fails. */
  run(): Promise<Values>;
}

export interface RoundsOptions {
  readonly runs: number;
  readonly say?: (line: string) => void;
}

/** Result of all rounds. */
export interface Measured {
  readonly samples: readonly Samples[];
  /** A line for each failure of a measure in a round, whose values are missing. */
  readonly failures: readonly string[];
}

/**
 * Runs all measures once per round, so that whatever else the machine does affects them alike and
 * the values of a round can be compared. A measure that fails loses its values of that round and no
 * others.
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
          if (!(row in measure.rows)) throw new Error(`unknown row ${row}`);
          const rounds = found.get(row) ?? [];
          found.set(row, rounds);
          rounds[round] = typeof value === "number" ? [value] : [...value];
        }
      } catch (error) {
        failures.push(`round ${round + 1}: ${measure.name}: ${messageOf(error)}`);
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
