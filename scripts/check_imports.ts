/**
 * Checks what imports what, by the tables of scripts/checks/tables.ts: across top directories,
 * across the rooms of shim/ and guest/, no circles, no export of a `mod.ts` without a user; and
 * that ARCHITECTURE.md prints these tables.
 *
 * Run by the test command: `scripts/deno run --allow-read scripts/check_imports.ts [ROOT]`.
 */

import { architectureViolations } from "./checks/architecture.ts";
import { circles } from "./checks/circles.ts";
import { directoryViolations } from "./checks/directories.ts";
import { roomViolations } from "./checks/rooms.ts";
import { filesBelow, type SourceFile, sourceFile } from "./checks/source_file.ts";
import { unusedExports } from "./checks/unused_exports.ts";

/** All violations among `files`, which are all the sources of the repository, one per line. */
export function importViolations(files: readonly SourceFile[]): string[] {
  return [
    ...files.flatMap((file) => [...directoryViolations(file), ...roomViolations(file)]),
    ...circles(files),
    ...unusedExports(files),
  ];
}

if (import.meta.main) {
  const root = Deno.args[0] ?? new URL("..", import.meta.url).pathname;
  const files = [...filesBelow(root, ".ts")].map((path) =>
    sourceFile(path, Deno.readTextFileSync(`${root}/${path}`))
  );
  const found = [
    ...importViolations(files),
    ...architectureViolations(Deno.readTextFileSync(`${root}/ARCHITECTURE.md`)),
  ];
  for (const line of found) console.error(line);
  if (found.length > 0) Deno.exit(1);
  console.log("imports follow the tables");
}
