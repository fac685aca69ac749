import { dirname } from "node:path";
import { ifPresent } from "../../base/mod.ts";
import { RefusedError } from "./refused_error.ts";

/** Setting of a directory that the shim owns. */
export type DirectorySetting = "run_dir" | "state_dir" | "log_dir";

const OTHERS_WRITE = 0o002, GROUP_WRITES = 0o020, STICKY = 0o1000;

/**
 * Checks that nobody but root (or the user of this process) can change what is in a directory, or
 * put another one in its place. The shim kills and removes what it reads there. A directory that
 * does not exist yet is fine where nobody else can replace it.
 *
 * Directories above it may be writable for a group, as /var/log is on some distributions, or for
 * all with the sticky bit, as /tmp is.
 *
 * @param uid of this process.
 * @throws {RefusedError} `host` with the path that others can change, and the fix.
 */
export function assertOwnDirectory(
  setting: DirectorySetting,
  path: string,
  uid: number = Deno.uid() ?? 0,
): void {
  const refuse = (at: string, why: string, fix: string) => {
    const field = at === path ? `${setting} ${path}` : `${setting} ${path}: ${at}`;
    const other =
      `or set QEMUBOX_${setting.toUpperCase()} to a directory that only root can change`;
    throw new RefusedError("host", field, why, `run "${fix}", ${other}`);
  };
  for (const at of pathsOf(path)) {
    const found = ifPresent(() => Deno.lstatSync(at));
    if (found === null) continue;
    if (found.uid !== 0 && found.uid !== uid) {
      refuse(at, `belongs to uid ${found.uid}`, `chown root ${at}`);
    }
    // A link has no permissions: where it leads is among the paths.
    if (found.isSymlink) continue;
    const mode = found.mode ?? 0;
    const isItself = at === path || at === realPath(path);
    if (isItself ? mode & (OTHERS_WRITE | GROUP_WRITES) : isReplaceable(mode)) {
      refuse(at, `is writable for others (mode ${octal(mode)})`, `chmod go-w ${at}`);
    }
  }
}

function isReplaceable(mode: number): boolean {
  return (mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0;
}

/** The path and all above it, as given and, if there are links among them, where they lead. */
function pathsOf(path: string): ReadonlySet<string> {
  return new Set([...withParents(path), ...withParents(realPath(path))]);
}

function withParents(path: string): string[] {
  return path === "/" ? ["/"] : [...withParents(dirname(path)), path];
}

/** Where a path leads; a part that does not exist stays as it is. */
function realPath(path: string): string {
  const real = ifPresent(() => Deno.realPathSync(path));
  if (real !== null || path === "/") return real ?? path;
  return `${realPath(dirname(path)).replace(/\/$/, "")}/${path.slice(path.lastIndexOf("/") + 1)}`;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
