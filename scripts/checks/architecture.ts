/** Keeps the tables of ARCHITECTURE.md equal to those of tables.ts. */

import { tablesOf } from "./markdown.ts";
import { DIRECTORIES, MAIN_ROOM, ROOMS } from "./tables.ts";

const NAME = /^`([a-z_]+)\/`$/;

/**
 * Reports where ARCHITECTURE.md differs from the tables:
 *
 * - the table below "## Directories" has one row per top directory of {@link DIRECTORIES}, whose
 *   column "May import" names the other directories in backticks
 * - below "## Rooms" there is one table per directory of {@link ROOMS}, in that order; the first
 *   column has the rooms as `` `room/` ``, top to bottom. A row for the files that are in no room
 *   is optional: its first cell is not a name of that form.
 */
export function architectureViolations(text: string): string[] {
  return [...folderViolations(text), ...roomTableViolations(text)]
    .map((violation) => `ARCHITECTURE.md: ${violation}`);
}

function folderViolations(text: string): string[] {
  const [table] = tablesOf(text, "Directories");
  if (table === undefined) return ['no table below the heading "## Directories"'];
  const column = table[0]!.indexOf("May import");
  if (column < 0) return ['table of "## Directories": no column "May import"'];
  const rows = new Map(table.slice(1).map((row) => [nameOf(row[0]!), row[column] ?? ""]));
  return Object.entries(DIRECTORIES).flatMap(([directory, allowed]) => {
    const cell = rows.get(directory);
    if (cell === undefined) return [`table of "## Directories": no row \`${directory}/\``];
    const printed = [...cell.matchAll(/`([a-z_]+)\/?`/g)].map(([, name]) => name!);
    // Everything may import base/: the table need not say so in each row.
    const same = sorted(printed) === sorted(allowed) ||
      sorted(printed) === sorted(allowed.filter((name) => name !== "base"));
    return same ? [] : [
      `table of "## Directories": \`${directory}/\` may import ${list(allowed)}, not ${
        list(printed)
      }`,
    ];
  });
}

function roomTableViolations(text: string): string[] {
  const tables = tablesOf(text, "Rooms");
  return Object.entries(ROOMS).flatMap(([directory, rooms], index) => {
    const expected = rooms.filter((room) => room !== MAIN_ROOM);
    const table = tables[index];
    if (table === undefined) {
      return [`no table ${index + 1} below the heading "## Rooms", for the rooms of ${directory}/`];
    }
    const printed = table.slice(1).flatMap((row) => nameOf(row[0]!) ?? [])
      .filter((room) => room !== MAIN_ROOM);
    return printed.join() === expected.join() ? [] : [
      `rooms of ${directory}/, top to bottom: must be ${list(expected)}, not ${list(printed)}`,
    ];
  });
}

function nameOf(cell: string): string | null {
  return NAME.exec(cell)?.[1] ?? null;
}

function sorted(names: readonly string[]): string {
  return [...names].sort().join();
}

function list(names: readonly string[]): string {
  return names.length === 0 ? "nothing" : names.join(" ");
}
