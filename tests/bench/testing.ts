import type { Result, Row } from "./result.ts";

/** Returns a row for a test. */
export function rowOf(name: string, median: number, changes: Partial<Row> = {}): Row {
  return {
    name,
    unit: "ms",
    n: 3,
    min: median * 0.9,
    median,
    max: median * 1.1,
    goal: null,
    met: null,
    ...changes,
  };
}

/** Returns a result for a test. */
export function resultOf(rows: readonly Row[]): Result {
  return {
    machine: {
      cpu: "Test <CPU> & Co",
      cpus: 2,
      memoryMib: 24 * 1024,
      kernel: "6.1.0",
      accelerator: "tcg",
      vsock: "vhost-user",
      lab: false,
      date: "2026-01-01",
    },
    rows: [...rows],
  };
}
