/**
 * Contents of the root image: vminitd, crun, CRIU with the programs that it calls, and their
 * libraries, which are found by reading the files and not by running ldd.
 */

import { type DebianFiles, requiredFile } from "../debian_files.ts";
import { elfNeeds } from "./elf.ts";

/** An entry of the root image. `path` is relative to the root, `mode` has the permission bits. */
export type RootEntry =
  | {
    readonly kind: "file";
    readonly path: string;
    readonly mode: number;
    readonly content: Uint8Array;
  }
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

/** Parts of the root image. */
export interface RootParts {
  readonly vminitd: Uint8Array;
  /** Spares V8 the parsing of vminitd. Read from /tmp, which is on the root disk at that time. */
  readonly codeCache: { readonly name: string; readonly content: Uint8Array } | null;
  readonly root: DebianFiles;
}

/** Default directory of the dynamic linker in Debian. */
const LIBRARY_DIRECTORY = "/usr/lib/x86_64-linux-gnu";
/**
 * Programs from the Debian root. CRIU archives a container's tmpfs mounts with tar, which calls
 * gzip through a shell.
 */
const PROGRAMS: readonly string[] = [
  ...["usr/bin/crun", "usr/sbin/criu", "usr/bin/tar", "usr/bin/dash", "usr/bin/gzip"],
];
/**
 * Libraries opened by name at run time: glibc uses the first to unwind the stack of a cancelled
 * thread, crun the second to make and restore checkpoints.
 */
const LOADED_LATER: readonly string[] = ["libgcc_s.so.1", "libcriu.so.2"];

const DIRECTORIES: readonly string[] = [
  ...["dev", "etc", "proc", "root", "run", "sys", "tmp", "var"],
  ...["usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib/x86_64-linux-gnu", "usr/lib64"],
];
/** Links of Debian's merged /usr, because programs use the old paths of interpreters and shells. */
const LINKS: Readonly<Record<string, string>> = {
  "usr/bin/sh": "dash",
  "bin": "usr/bin",
  "sbin": "usr/sbin",
  "lib": "usr/lib",
  "lib64": "usr/lib64",
};

/**
 * Returns all entries of the root image, directories before their contents.
 *
 * @throws {Error} naming a file or library that the Debian root does not have
 */
export function rootEntries({ vminitd, codeCache, root }: RootParts): RootEntry[] {
  const programs = Object.fromEntries(
    PROGRAMS.map((path) => [path, requiredFile(root, `/${path}`)]),
  );
  return [
    ...DIRECTORIES.map((path): RootEntry => ({ kind: "directory", path, mode: modeOf(path) })),
    ...Object.entries(LINKS).map(([path, target]): RootEntry => ({ kind: "link", path, target })),
    program("usr/sbin/vminitd", vminitd),
    ...(codeCache === null ? [] : [cacheFile(codeCache)]),
    ...Object.entries(programs).map(([path, content]) => program(path, content)),
    ...libraries(root, { vminitd, ...programs }),
  ];
}

function cacheFile({ name, content }: NonNullable<RootParts["codeCache"]>): RootEntry {
  return { kind: "file", path: `tmp/${name}`, mode: 0o644, content };
}

function modeOf(path: string): number {
  if (path === "tmp") return 0o1777;
  return path === "root" ? 0o700 : 0o755;
}

function program(path: string, content: Uint8Array): RootEntry {
  return { kind: "file", path, mode: 0o755, content };
}

/** Returns the dynamic linker and all libraries that `programs` need, directly or indirectly. */
function libraries(
  root: DebianFiles,
  programs: Readonly<Record<string, Uint8Array>>,
): RootEntry[] {
  const found = new Map<string, RootEntry>();
  const interpreters = new Set<string>();
  const wanted = Object.entries(programs);
  for (let next; (next = wanted.shift()) !== undefined;) {
    const [name, content] = next;
    const { interpreter, libraries } = elfNeeds(content);
    if (interpreter !== null) interpreters.add(interpreter);
    for (const library of [...libraries, ...LOADED_LATER]) {
      if (found.has(library)) continue;
      const bytes = library.includes("/") ? null : root.read(`${LIBRARY_DIRECTORY}/${library}`);
      if (bytes === null) {
        throw new Error(
          `${library}, which ${name} needs, is not in ${LIBRARY_DIRECTORY} of the root`,
        );
      }
      found.set(library, program(`${LIBRARY_DIRECTORY.slice(1)}/${library}`, bytes));
      wanted.push([library, bytes]);
    }
  }
  return [...found.values(), ...[...interpreters].flatMap((path) => linker(root, path, found))];
}

/** Returns the dynamic linker at its path in programs. Libraries may also need it by its name. */
function linker(
  root: DebianFiles,
  path: string,
  found: ReadonlyMap<string, RootEntry>,
): RootEntry[] {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const place = path.replace(/^\/(lib64|lib)\//, "usr/$1/");
  const target = `${LIBRARY_DIRECTORY}/${name}`;
  const link: RootEntry = { kind: "link", path: place, target };
  return found.has(name) ? [link] : [link, program(target.slice(1), requiredFile(root, target))];
}
