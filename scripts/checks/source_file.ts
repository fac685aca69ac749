/** A source file with its imports, as far as the checks need to understand it. */

import { TESTING } from "./tables.ts";

/** A TypeScript file of the repository. */
export interface SourceFile {
  /** Relative to the repository. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

/** An import, or an export from another module. */
export interface Import {
  /** As written: "./a.ts", "npm:zod". */
  readonly specifier: string;
  /** The file it means, relative to the repository; null when it is not a relative path. */
  readonly target: string | null;
  /** Imported names, as the other module exports them; "all" if they are unknown. */
  readonly names: readonly string[] | "all";
}

const FROM =
  /^(?:import|export)\s+(?:type\s+)?((?:\w+\s*,\s*)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\}|\w+))\s+from\s+["']([^"']+)["']/gm;
const EFFECT_ONLY = /^import\s+["']([^"']+)["']/gm;
// Also the type `import("./a.ts").Name`.
const DYNAMIC = /\bimport\(\s*["']([^"']+)["']/g;
const COMMENT_LINE = /^\s*(?:\/\/|\/?\*).*$/gm;

/** Reads the imports of `text`, formatted by `deno fmt`, as those of the file `path`. */
export function sourceFile(path: string, text: string): SourceFile {
  const code = text.replaceAll(COMMENT_LINE, "");
  const found: Import[] = [];
  const add = (specifier: string, names: Import["names"]) => {
    const target = specifier.startsWith(".") ? resolve(path, specifier) : null;
    found.push({ specifier, target, names });
  };
  for (const [, clause, specifier] of code.matchAll(FROM)) add(specifier!, namesOf(clause!));
  for (const [, specifier] of code.matchAll(EFFECT_ONLY)) add(specifier!, []);
  for (const [, specifier] of code.matchAll(DYNAMIC)) add(specifier!, "all");
  return { path, text, imports: found };
}

/** Names of `{ a, type B, c as d }` as the other module exports them. */
export function namesOf(clause: string): readonly string[] | "all" {
  const list = /^\{([^}]*)\}$/.exec(clause)?.[1];
  if (list === undefined) return "all";
  return list.split(",").flatMap((item) =>
    /^(?:type\s+)?(\w+)/.exec(item.replace(/\/\/.*/, "").trim())?.[1] ?? []
  );
}

function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

/** Whether only tests may import the file. */
export function isTestSupport(path: string): boolean {
  return path.split("/").slice(0, -1).includes(TESTING);
}

/** Whether the file is run by tests alone. */
export function isTest(path: string): boolean {
  return path.endsWith("_test.ts") || path.startsWith("tests/") || isTestSupport(path);
}

/**
 * Paths, relative to `root`, of all files below it whose name ends with `suffix`. Hidden
 * directories and build results are left out.
 */
export function* filesBelow(root: string, suffix: string, directory = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(`${root}/${directory}`)) {
    const path = directory === "" ? name : `${directory}/${name}`;
    if (isDirectory) {
      const skipped = name.startsWith(".") || name === "_output" || name === "node_modules";
      if (!skipped) yield* filesBelow(root, suffix, path);
    } else if (name.endsWith(suffix)) yield path;
  }
}
