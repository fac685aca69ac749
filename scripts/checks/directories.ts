/** The rule of the top directories: what they may import of each other, and where FFI may be. */

import { isTest, isTestSupport, type SourceFile } from "./source_file.ts";
import { DIRECTORIES } from "./tables.ts";

const FFI = /\bDeno\s*\.\s*(?:dlopen|Unsafe\w+)/;

/**
 * Reports imports across top directories that the table does not allow or that bypass the other's
 * `mod.ts`, modules that are neither ours nor npm's, and FFI outside ffi/.
 */
export function directoryViolations(file: SourceFile): string[] {
  const { path } = file;
  const directory = path.split("/")[0]!;
  const allowed = DIRECTORIES[directory];
  const found: string[] = [];
  for (const { specifier, target } of allowed === undefined ? [] : file.imports) {
    if (target === null) {
      if (specifier.startsWith("jsr:") || specifier.startsWith("http")) {
        found.push(`${path}: imports ${specifier}; only npm packages of deno.json may be used`);
      }
      continue;
    }
    const other = target.split("/")[0]!;
    if (other === directory) continue;
    if (!allowed!.includes(other)) {
      found.push(`${path}: ${directory}/ may not import ${other}/ (${specifier})`);
    } else if (other !== "scripts" && target !== `${other}/mod.ts` && !testSupport(path, target)) {
      found.push(`${path}: import ${other}/mod.ts instead of ${specifier}`);
    }
  }
  if (directory !== "ffi" && !path.startsWith("scripts/checks/") && FFI.test(file.text)) {
    found.push(`${path}: Deno.dlopen and Deno.Unsafe* are allowed in ffi/ only`);
  }
  return found;
}

/**
 * A test imports what another directory has for tests from its file: `mod.ts` must not load that.
 */
function testSupport(path: string, target: string): boolean {
  return isTest(path) && isTestSupport(target);
}
