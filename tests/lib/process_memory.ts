/** Name of QEMU's mapping for the guest's memory. */
const GUEST_RAM = "/memfd:memory-backend-memfd";
const KIB_PER_MIB = 1024;

/** Memory of a process, in MiB. */
export interface ProcessMemory {
  /** Private pages, without those of the guest's memory. */
  readonly privateMib: number;
  /** Resident pages of the guest's memory. */
  readonly guestRamMib: number;
}

/** Returns the memory of a process. @throws {Deno.errors.NotFound} if it does not exist. */
export function processMemory(pid: number): ProcessMemory {
  return memoryOfSmaps(Deno.readTextFileSync(`/proc/${pid}/smaps`));
}

/** Parses /proc/PID/smaps, see the kernel's Documentation/filesystems/proc.rst. Pure. */
export function memoryOfSmaps(smaps: string): ProcessMemory {
  let privateKib = 0;
  let guestRamKib = 0;
  let isGuestRam = false;
  for (const line of smaps.split("\n")) {
    const field = /^(\w+): +(\d+) kB$/.exec(line);
    if (field === null) {
      if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isGuestRam = line.includes(` ${GUEST_RAM}`);
      continue;
    }
    const [, name, kib] = field;
    if (isGuestRam && name === "Rss") guestRamKib += Number(kib);
    if (!isGuestRam && (name === "Private_Clean" || name === "Private_Dirty")) {
      privateKib += Number(kib);
    }
  }
  return { privateMib: privateKib / KIB_PER_MIB, guestRamMib: guestRamKib / KIB_PER_MIB };
}
