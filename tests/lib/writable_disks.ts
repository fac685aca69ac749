/**
 * Writable disks of containers: files without a name, found by the processes that have them open.
 */

import { qemuOf } from "./sandbox_processes.ts";

/** Matches a file without a name in /proc/PID/fd: in the state directory, or in another one. */
const NAMELESS = /^(\/.*)\/(#\d+|\.[0-9a-f-]{36}) \(deleted\)$/;

/** A disk that a process has open. */
export interface OpenDisk {
  /** In /proc; its target can be read and has a size. */
  readonly path: string;
  readonly directory: string;
}

/** Returns the disks that `pids`, by default all processes, have open. */
export function openDisks(pids: readonly number[] = allProcesses()): OpenDisk[] {
  return pids.flatMap((pid) =>
    list(`/proc/${pid}/fd`).flatMap((fd) => {
      const path = `/proc/${pid}/fd/${fd}`;
      const directory = NAMELESS.exec(link(path))?.[1];
      return directory === undefined ? [] : [{ path, directory }];
    })
  ).filter(({ directory }) => /qemubox|e2e-|fault-/.test(directory));
}

/** Returns the disk of a sandbox, or null if it has none. */
export function diskOf(id: string): OpenDisk | null {
  return openDisks([qemuOf(id)])[0] ?? null;
}

/** Returns how many bytes of the host's storage a disk takes. */
export function bytesOf({ path }: OpenDisk): number {
  return Deno.statSync(path).blocks! * 512;
}

function allProcesses(): number[] {
  return list("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
}

function list(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name);
  } catch {
    return []; // It has just exited.
  }
}

function link(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}
