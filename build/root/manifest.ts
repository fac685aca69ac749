/**
 * What lies in the root image: vminitd, crun, CRIU with what it calls, and the libraries that these need,
 * which are found by reading the files and not by running ldd.
 */

import { type DebianFiles, requiredFile } from "../debian_files.ts";
import { elfNeeds } from "./elf.ts";

/** A file, folder or symbolic link; `path` is relative to the root, `mode` the permission bits. */
export type RootEntry =
  | {
    readonly kind: "file";
    readonly path: string;
    readonly mode: number;
    readonly content: Uint8Array;
  }
  | { readonly kind: "folder"; readonly path: string; readonly mode: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

/** What the root image is made of. */
export interface RootParts {
  readonly vminitd: Uint8Array;
  /** What spares V8 the parsing of vminitd; read from /tmp, which is the root disk's at that time. */
  readonly codeCache: { readonly name: string; readonly content: Uint8Array } | null;
  readonly root: DebianFiles;
}

/** Where the dynamic linker looks when nothing else was said, in Debian. */
const LIBRARY_FOLDER = "/usr/lib/x86_64-linux-gnu";
/**
 * Of the Debian root. CRIU has tar keep what is in a container's tmpfs mounts; that has a shell call
 * gzip.
 */
const PROGRAMS: readonly string[] = [
  ...["usr/bin/crun", "usr/sbin/criu", "usr/bin/tar", "usr/bin/dash", "usr/bin/gzip"],
];
/**
 * Opened by name while running: glibc takes the first to unwind the stack of a thread that is cancelled,
 * crun the second to make and restore checkpoints.
 */
const LOADED_LATER: readonly string[] = ["libgcc_s.so.1", "libcriu.so.2"];

const FOLDERS: readonly string[] = [
  ...["dev", "etc", "proc", "root", "run", "sys", "tmp", "var"],
  ...["usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib/x86_64-linux-gnu", "usr/lib64"],
];
/** The merged /usr of Debian: programs name their interpreter and shells by the old paths. */
const LINKS: Readonly<Record<string, string>> = {
  "usr/bin/sh": "dash",
  "bin": "usr/bin",
  "sbin": "usr/sbin",
  "lib": "usr/lib",
  "lib64": "usr/lib64",
};

/**
 * All entries of the root image, folders before what lies in them.
 * @throws {Error} naming a file or library that the root does not have
 */
export function rootEntries({ vminitd, codeCache, root }: RootParts): RootEntry[] {
  const programs = Object.fromEntries(
    PROGRAMS.map((path) => [path, requiredFile(root, `/${path}`)]),
  );
  return [
    ...FOLDERS.map((path): RootEntry => ({ kind: "folder", path, mode: modeOf(path) })),
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

/** The dynamic linker and every library that `programs` need, and that these need, and so on. */
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
      const bytes = library.includes("/") ? null : root.read(`${LIBRARY_FOLDER}/${library}`);
      if (bytes === null) {
        throw new Error(`${library}, which ${name} needs, is not in ${LIBRARY_FOLDER} of the root`);
      }
      found.set(library, program(`${LIBRARY_FOLDER.slice(1)}/${library}`, bytes));
      wanted.push([library, bytes]);
    }
  }
  return [...found.values(), ...[...interpreters].flatMap((path) => linker(root, path, found))];
}

/** The dynamic linker at the path that programs name; libraries may need it by its name as well. */
function linker(
  root: DebianFiles,
  path: string,
  found: ReadonlyMap<string, RootEntry>,
): RootEntry[] {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const place = path.replace(/^\/(lib64|lib)\//, "usr/$1/");
  const target = `${LIBRARY_FOLDER}/${name}`;
  const link: RootEntry = { kind: "link", path: place, target };
  return found.has(name) ? [link] : [link, program(target.slice(1), requiredFile(root, target))];
}
