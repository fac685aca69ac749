/** The rule of the rooms: the order inside shim/ and guest/, and who may import testing/. */

import { isTest, isTestSupport, type SourceFile } from "./source_file.ts";
import { MAIN_ROOM, ROOMS } from "./tables.ts";

/**
 * Reports imports from a room into one above it, files in a room that the table does not have, and
 * product code that imports from a `testing/` directory. Tests may import from any room.
 */
export function roomViolations(file: SourceFile): string[] {
  const { path } = file;
  const found: string[] = [];
  const test = isTest(path);
  for (const { target } of test ? [] : file.imports) {
    if (target !== null && isTestSupport(target)) {
      found.push(`${path}: only tests may import ${target}`);
    }
  }
  const directory = path.split("/")[0]!;
  const rooms = ROOMS[directory];
  if (rooms === undefined || isTestSupport(path)) return found;
  const level = rooms.indexOf(roomOf(path));
  if (level < 0) {
    found.push(`${path}: ${directory}/${roomOf(path)}/ is not a room of scripts/checks/tables.ts`);
    return found;
  }
  for (const { target } of test ? [] : file.imports) {
    if (target === null || !target.startsWith(`${directory}/`) || isTestSupport(target)) continue;
    const other = rooms.indexOf(roomOf(target));
    // A target in an unknown room is reported for its own file.
    if (other >= 0 && other < level) {
      found.push(
        `${path}: room ${roomOf(path)} may not import room ${roomOf(target)} above it (${target})`,
      );
    }
  }
  return found;
}

function roomOf(path: string): string {
  const parts = path.split("/");
  return parts.length === 2 ? MAIN_ROOM : parts[1]!;
}
