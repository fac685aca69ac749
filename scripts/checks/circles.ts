/** The rule against circles: no file may import itself through others. */

import type { SourceFile } from "./source_file.ts";

/**
 * Reports circles of imports, each as the whole way round. Imports of types count as well. Each
 * file in a circle is in one that is reported, but not every way round is: circles share files.
 */
export function circles(files: readonly SourceFile[]): string[] {
  const imports = new Map(files.map(({ path, imports }) => [path, targetsOf(imports)]));
  const reported = new Set<string>();
  const found: string[] = [];
  for (const path of [...imports.keys()].sort()) {
    if (reported.has(path)) continue;
    const circle = shortestCircle(path, imports);
    if (circle === null) continue;
    for (const file of circle) reported.add(file);
    found.push(`${path}: circle of imports: ${[...circle, path].join(" > ")}`);
  }
  return found;
}

function targetsOf(imports: SourceFile["imports"]): readonly string[] {
  return imports.flatMap(({ target }) => target ?? []);
}

/** The files of the shortest circle through `start`, which comes first; null if there is none. */
function shortestCircle(
  start: string,
  imports: ReadonlyMap<string, readonly string[]>,
): string[] | null {
  const importerOf = new Map<string, string>();
  const queue = [start];
  for (const file of queue) {
    for (const target of imports.get(file) ?? []) {
      if (target === start) return wayTo(file, importerOf);
      if (importerOf.has(target)) continue;
      importerOf.set(target, file);
      queue.push(target);
    }
  }
  return null;
}

function wayTo(file: string, importerOf: ReadonlyMap<string, string>): string[] {
  const way = [file];
  for (let at = importerOf.get(file); at !== undefined; at = importerOf.get(at)) way.unshift(at);
  return way;
}
