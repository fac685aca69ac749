import { RefusedError } from "../base/refused_error.ts";

/** Numbers, both ends included. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/** Maps of this process's user namespace: user_namespaces(7). */
export const ID_MAPS = { "user ids": "/proc/self/uid_map", "group ids": "/proc/self/gid_map" };

/**
 * Checks that this process may give another one each id of `user_ids`: in a user namespace, only
 * ids of its maps exist.
 *
 * @param read returns a file's text; tests have their own.
 * @throws {RefusedError} `host`, naming the ids that are mapped
 */
export function requireMappedIds(
  range: Range,
  read: (path: string) => string = Deno.readTextFileSync,
): void {
  for (const [what, path] of Object.entries(ID_MAPS)) {
    const mapped = mappedRanges(read(path));
    if (isCovered(range, mapped)) continue;
    const list = mapped.map(({ first, last }) => `${first}-${last}`).join(", ");
    throw new RefusedError(
      "host",
      `setting user_ids = ${range.first}-${range.last}`,
      `has ${what} that are not mapped in the shim's user namespace ` +
        `(${path} has ${list === "" ? "none" : list})`,
      "set user_ids (QEMUBOX_USER_IDS) to mapped ids that nothing else uses, or map more of them",
    );
  }
}

/** Parses a uid_map or gid_map into the ranges inside the namespace, in ascending order. Pure. */
function mappedRanges(text: string): Range[] {
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number);
    return { first: first!, last: first! + count! - 1 };
  }).toSorted((a, b) => a.first - b.first);
}

/** Adjacent ranges of a map together may cover it. */
function isCovered({ first, last }: Range, ascending: readonly Range[]): boolean {
  let next = first;
  for (const range of ascending) {
    if (range.first <= next && range.last >= next) next = range.last + 1;
  }
  return next > last;
}
