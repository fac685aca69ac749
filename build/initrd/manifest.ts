/** What lies in the initrd: stage 0, and busybox as its shell. */

import { type DebianFiles, requiredFile } from "../debian_files.ts";
import { elfNeeds } from "../root/elf.ts";
import type { CpioEntry } from "./cpio.ts";

/** What stage 0 calls. Busybox does nothing under its own name. */
const APPLETS: readonly string[] = ["sh", "mount", "switch_root"];
/** Of these, `root` is where the root disk is mounted. */
const FOLDERS: readonly string[] = ["bin", "dev", "root"];

/**
 * All entries of the initrd.
 *
 * @param stage0 the script that the kernel starts
 * @throws {Error} when the Debian root has no busybox, or one that needs libraries
 */
export function initrdEntries(stage0: Uint8Array, root: DebianFiles): CpioEntry[] {
  const busybox = requiredFile(root, "/usr/bin/busybox");
  if (elfNeeds(busybox).interpreter !== null) {
    throw new Error("/usr/bin/busybox is not static: the initrd needs busybox-static");
  }
  return [
    ...FOLDERS.map((path): CpioEntry => ({ kind: "folder", path, mode: 0o755 })),
    // Where the kernel takes PID 1's standard streams from.
    { kind: "character-device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", path: "init", mode: 0o755, content: stage0 },
    { kind: "file", path: "bin/busybox", mode: 0o755, content: busybox },
    ...APPLETS.map((name): CpioEntry => ({
      kind: "link",
      path: `bin/${name}`,
      target: "busybox",
    })),
  ];
}
