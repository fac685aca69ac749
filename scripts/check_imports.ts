/**
 * Keeps ARCHITECTURE.md's import table true: fails on any import that crosses folders against the
 * table, that reaches past another folder's `mod.ts`, or on FFI used outside ffi/.
 *
 * Run by the test command: `scripts/deno run --allow-read scripts/check_imports.ts [ROOT]`.
 */

/** Folder → the folders of ours it may import. Folders that are not listed may import anything. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  base: [],
  proto: ["base"],
  ffi: ["base"],
  qemu: ["ffi", "base"],
  net: ["ffi", "base"],
  shim: ["qemu", "net", "proto", "ffi", "base"],
  guest: ["proto", "ffi", "base"],
  build: ["scripts", "base"],
};
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^;"']*?from\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g;
const FFI = /\bDeno\s*\.\s*(?:dlopen|Unsafe\w+)/;
const SOURCE_LINES_MAX = 400;

/** What is wrong with one file, as lines a reader can act on. `path` is relative to the root. */
export function violations(path: string, source: string): string[] {
  const found: string[] = [];
  const folder = path.split("/")[0]!;
  const isTest = path.endsWith("_test.ts");
  const allowed = ALLOWED[folder];
  if (allowed !== undefined) {
    for (const match of source.matchAll(IMPORT)) {
      const specifier = match[1] ?? match[2]!;
      if (!specifier.startsWith(".")) {
        if (specifier.startsWith("jsr:") || specifier.startsWith("http")) {
          found.push(`${path}: imports ${specifier}; only npm packages of deno.json may be used`);
        }
        continue;
      }
      const target = resolve(path, specifier);
      const other = target.split("/")[0]!;
      if (other === folder) continue;
      if (!allowed.includes(other)) {
        found.push(`${path}: ${folder}/ may not import ${other}/ (${specifier})`);
      } else if (other !== "scripts" && target !== `${other}/mod.ts`) {
        found.push(`${path}: import ${other}/mod.ts instead of ${specifier}`);
      }
    }
  }
  if (folder !== "ffi" && !path.startsWith("scripts/check_imports") && FFI.test(source)) {
    found.push(`${path}: Deno.dlopen and Deno.Unsafe* belong in ffi/ alone`);
  }
  const lines = source.split("\n").length;
  if (
    allowed !== undefined && !isTest && !path.startsWith("proto/gen/") && lines > SOURCE_LINES_MAX
  ) {
    found.push(`${path}: ${lines} lines; split it by concept (limit ${SOURCE_LINES_MAX})`);
  }
  return found;
}

function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

function* sources(root: string, folder = ""): Generator<string> {
  for (const entry of Deno.readDirSync(`${root}/${folder}`)) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory) {
      if (
        !entry.name.startsWith(".") && entry.name !== "_output" && entry.name !== "node_modules"
      ) {
        yield* sources(root, path);
      }
    } else if (entry.name.endsWith(".ts")) yield path;
  }
}

if (import.meta.main) {
  const root = Deno.args[0] ?? new URL("..", import.meta.url).pathname;
  const found = [...sources(root)].flatMap((path) =>
    violations(path, Deno.readTextFileSync(`${root}/${path}`))
  );
  for (const line of found) console.error(line);
  if (found.length > 0) Deno.exit(1);
  console.log("imports follow the table");
}
