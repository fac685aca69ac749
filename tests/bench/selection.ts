import { RATIOS } from "./goals.ts";
import type { Measure } from "./measure.ts";

/**
 * Returns the measures needed for `only`: names of measures, rows or ratios. All if it is empty.
 *
 * @throws {Error} for an unknown name; it lists the known ones.
 */
export function select<M extends Pick<Measure, "name" | "rows">>(
  measures: readonly M[],
  only: readonly string[],
): M[] {
  if (only.length === 0) return [...measures];
  const names = new Set(only.flatMap((name) => {
    const ratio = RATIOS.find((one) => one.name === name);
    return ratio === undefined ? [name] : [ratio.above, ratio.below];
  }));
  const known = (name: string) => measures.some((one) => one.name === name || name in one.rows);
  for (const name of names) {
    if (known(name)) continue;
    const all = measures.map(({ name }) => name).join(", ");
    throw new Error(`unknown name ${name}: known are ${all}, their rows and ratios`);
  }
  return measures.filter(({ name, rows }) =>
    names.has(name) || Object.keys(rows).some((row) => names.has(row))
  );
}
