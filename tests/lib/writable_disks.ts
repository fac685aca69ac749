/** Disks for what containers write: files without a name, found by who has them open. */

import { sandboxProcesses } from "./sandbox_processes.ts";

/** What a file without a name is called in /proc/PID/fd: in the folder of states, or in another one. */
const NAMELESS = /^(\/.*)\/(#\d+|\.[0-9a-f-]{36}) \(deleted\)$/;

/** A disk, as one of the processes has it open. */
export interface OpenDisk {
  /** In /proc; what it leads to can be read and has a size. */
  readonly path: string;
  readonly folder: string;
}

/** Those of all processes, or of these. */
export function openDisks(pids: readonly number[] = allProcesses()): OpenDisk[] {
  return pids.flatMap((pid) =>
    list(`/proc/${pid}/fd`).flatMap((fd) => {
      const path = `/proc/${pid}/fd/${fd}`;
      const folder = NAMELESS.exec(link(path))?.[1];
      return folder === undefined ? [] : [{ path, folder }];
    })
  ).filter(({ folder }) => /qemubox|e2e-|fault-/.test(folder));
}

/** The disk of a sandbox, null when it has none. */
export function diskOf(id: string): OpenDisk | null {
  const { pid } = sandboxProcesses(id).find(({ role }) => role === "qemu")!;
  return openDisks([pid])[0] ?? null;
}

/** How much of the host's storage it takes. */
export function bytesOf({ path }: OpenDisk): number {
  return Deno.statSync(path).blocks! * 512;
}

function allProcesses(): number[] {
  return list("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
}

function list(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return []; // It has just ended.
  }
}

function link(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}
