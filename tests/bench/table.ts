import type { Machine, Result, Row, Unit } from "./result.ts";

/** Formats a value with its unit and three significant digits. */
export function format(value: number, unit: Unit): string {
  if (unit === "ratio") return value.toFixed(2);
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return `${value.toFixed(digits)} ${unit}`;
}

/** Returns a result as a table for people. */
export function resultTable({ machine, rows }: Result): string {
  const head = ["", "n", "min", "median", "max", "goal", ""];
  const body = rows.map((row) => [
    row.name,
    String(row.n),
    ...[row.min, row.median, row.max].map((value) => format(value, row.unit)),
    row.goal === null ? "" : `≤ ${goalText(row)}`,
    row.met === null ? "" : row.met ? "met" : "MISSED",
  ]);
  return `${machineLine(machine)}\n\n${columns([head, ...body])}`;
}

/** Returns a line about the machine. */
export function machineLine(machine: Machine): string {
  const { cpu, cpus, memoryMib, kernel, accelerator, vsock, lab, date } = machine;
  const where = lab ? ", in the lab (KVM on TCG)" : "";
  return `${date}: ${cpus} × ${cpu}, ${(memoryMib / 1024).toFixed(0)} GiB, Linux ${kernel}; ` +
    `${accelerator.toUpperCase()}${where}, ${vsock} vsock`;
}

/** Aligns columns: the first and the last to the left, the others to the right. */
export function columns(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines) {
    line.forEach((cell, at) => widths[at] = Math.max(widths[at] ?? 0, cell.length));
  }
  const last = widths.length - 1;
  return lines.map((line) =>
    line.map((cell, at) =>
      at === 0 || at === last ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)
    ).join("  ").trimEnd()
  ).join("\n") + "\n";
}

function goalText({ goal, unit }: Row): string {
  return unit === "ratio" ? String(goal) : `${goal} ${unit}`;
}
