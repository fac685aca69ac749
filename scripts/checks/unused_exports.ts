/** The rule of `mod.ts`: it exports what code outside its directory uses, and nothing else. */

import { namesOf, type SourceFile } from "./source_file.ts";

const EXPORT_LIST = /^export\s+(?:type\s+)?(\{[^}]*\})/gm;
const EXPORT_ALL = /^export\s+\*\s+from\s+["']([^"']+)["']/gm;
const EXPORT_NAMESPACE = /^export\s+\*\s+as\s+(\w+)\s+from/gm;
const DECLARATION =
  /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:const|let|var|function\*?|class|interface|type|enum)\s+(\w+)/gm;
const NAMESPACE_IMPORT = /^import\s+(?:type\s+)?\*\s+as\s+(\w+)\s+from\s+["']([^"']+)["']/gm;

/** Reports the exports of each `mod.ts` that no file outside its directory imports. Tests count. */
export function unusedExports(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return files.filter(({ path }) => path.endsWith("/mod.ts")).flatMap((module) => {
    const directory = module.path.slice(0, -"mod.ts".length);
    const users = files.filter(({ path }) => !path.startsWith(directory));
    const used = users.map((user) => usedNames(user, module.path));
    if (used.includes("all")) return [];
    const names = new Set(used.flatMap((names) => [...names]));
    return exportsOf(module, byPath)
      .filter((name) => !names.has(name))
      .map((name) => `${module.path}: exports ${name}, which no file outside ${directory} uses`);
  });
}

function usedNames(user: SourceFile, module: string): readonly string[] | "all" {
  const used: string[] = [];
  for (const { target, names } of user.imports) {
    if (target !== module) continue;
    const taken = names === "all" ? membersUsed(user, module) : names;
    if (taken === "all") return "all";
    used.push(...taken);
  }
  return used;
}

/** `name.member` of each `import * as name`; "all" when the module comes in some other way. */
function membersUsed(user: SourceFile, module: string): readonly string[] | "all" {
  const specifiers = user.imports.filter(({ target }) => target === module)
    .map(({ specifier }) => specifier);
  const namespaces = [...user.text.matchAll(NAMESPACE_IMPORT)]
    .flatMap(([, name, specifier]) => specifiers.includes(specifier!) ? name! : []);
  if (namespaces.length === 0) return "all";
  return namespaces.flatMap((name) =>
    [...user.text.matchAll(new RegExp(`\\b${name}\\.(\\w+)`, "g"))].map(([, member]) => member!)
  );
}

/** Names that a module exports; those of `export * from` are looked up in that file. */
function exportsOf(file: SourceFile, byPath: ReadonlyMap<string, SourceFile>): string[] {
  const { text } = file;
  return [
    ...[...text.matchAll(EXPORT_LIST)].flatMap(([, list]) => exportedNames(list!)),
    ...[...text.matchAll(DECLARATION)].map(([, name]) => name!),
    ...[...text.matchAll(EXPORT_NAMESPACE)].map(([, name]) => name!),
    ...[...text.matchAll(EXPORT_ALL)].flatMap(([, specifier]) => {
      const target = file.imports.find((i) => i.specifier === specifier)?.target ?? "";
      const other = byPath.get(target);
      return other === undefined ? [] : exportsOf(other, byPath);
    }),
  ];
}

/** `{ a as b, type C }` → b, C: what others see. */
function exportedNames(list: string): readonly string[] {
  const renamed = list.replace(/\w+\s+as\s+(\w+)/g, "$1");
  const names = namesOf(renamed);
  return names === "all" ? [] : names;
}
