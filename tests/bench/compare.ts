import type { Result, Row } from "./result.ts";
import { columns, format, machineLine } from "./table.ts";

/** A row in two results. */
export interface Change {
  readonly name: string;
  readonly before: Row | null;
  readonly after: Row | null;
  /** Change of the median: 0.1 is ten percent more. Null if only one result has the row. */
  readonly change: number | null;
  /** Whether the two ranges are disjoint, so that the change exceeds the noise of either. */
  readonly clear: boolean;
}

/** Compares two results row by row, in the order of the second. */
export function compare(before: Result, after: Result): Change[] {
  const find = (rows: readonly Row[], name: string) => rows.find((row) => row.name === name);
  const names = new Set([...after.rows, ...before.rows].map(({ name }) => name));
  return [...names].map((name) => {
    const [old, now] = [find(before.rows, name) ?? null, find(after.rows, name) ?? null];
    if (old === null || now === null || old.unit !== now.unit) {
      return { name, before: old, after: now, change: null, clear: false };
    }
    return {
      name,
      before: old,
      after: now,
      change: old.median === 0 ? null : now.median / old.median - 1,
      clear: now.max < old.min || now.min > old.max,
    };
  });
}

/** Returns the comparison as a table for people. */
export function comparisonTable(before: Result, after: Result): string {
  const head = ["", "before", "after", "change", ""];
  const body = compare(before, after).map((one) => [
    one.name,
    one.before === null ? "–" : format(one.before.median, one.before.unit),
    one.after === null ? "–" : format(one.after.median, one.after.unit),
    one.change === null ? "" : `${one.change < 0 ? "−" : "+"}${percent(one.change)} %`,
    one.clear ? "clear" : "",
  ]);
  return `before: ${machineLine(before.machine)}\nafter:  ${machineLine(after.machine)}\n\n` +
    columns([head, ...body]);
}

function percent(change: number): string {
  return (Math.abs(change) * 100).toFixed(1);
}
