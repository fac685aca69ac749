/** Which Debian packages files of a root belong to, by dpkg's own lists. */

/** Path in the root → package. */
export type Owners = ReadonlyMap<string, string>;

/**
 * Reads the lists of all packages.
 *
 * @param lists package (perhaps with ":amd64") → its list: one path a line
 */
export function ownersOf(lists: Iterable<readonly [name: string, list: string]>): Owners {
  const owners = new Map<string, string>();
  for (const [name, list] of lists) {
    const [owner] = name.split(":");
    for (const path of list.split("\n")) owners.set(merged(path), owner!);
  }
  return owners;
}

/** Reads the lists of the root at `directory`. */
export function ownersIn(directory: string): Owners {
  const info = `${directory}/var/lib/dpkg/info`;
  const names = [...Deno.readDirSync(info)].map(({ name }) => name)
    .filter((name) => name.endsWith(".list"));
  return ownersOf(
    names.map((name) => [name.replace(/\.list$/, ""), Deno.readTextFileSync(`${info}/${name}`)]),
  );
}

/**
 * Returns the packages that `paths` belong to, sorted.
 *
 * @throws {Error} for a path of no package
 */
export function packagesOwning(paths: Iterable<string>, owners: Owners): string[] {
  const found = new Set<string>();
  for (const path of paths) {
    const owner = owners.get(merged(path));
    if (owner === undefined) throw new Error(`${path} belongs to no Debian package`);
    found.add(owner);
  }
  return [...found].sort();
}

/** Debian's /bin, /sbin and /lib are links to those in /usr; packages use either path. */
function merged(path: string): string {
  return path.replace(/^\/(bin|sbin|lib|lib64)\//, "/usr/$1/");
}
