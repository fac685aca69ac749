/** Contents of the initrd: stage 0, and busybox as its shell. */

import { type DebianFiles, requiredFile } from "../debian_files.ts";
import { elfNeeds } from "../root/elf.ts";
import type { CpioEntry } from "./cpio.ts";

/** Commands of stage 0. Busybox does nothing under its own name. */
const APPLETS: readonly string[] = ["sh", "mount", "switch_root"];
/** The root disk is mounted on `root`. */
const DIRECTORIES: readonly string[] = ["bin", "dev", "root"];

/**
 * Returns all entries of the initrd.
 *
 * @param stage0 the script that the kernel starts
 * @throws {Error} if the Debian root has no busybox, or one that needs libraries
 */
export function initrdEntries(stage0: Uint8Array, root: DebianFiles): CpioEntry[] {
  const busybox = requiredFile(root, "/usr/bin/busybox");
  if (elfNeeds(busybox).interpreter !== null) {
    throw new Error("/usr/bin/busybox is not static: the initrd needs busybox-static");
  }
  return [
    ...DIRECTORIES.map((path): CpioEntry => ({ kind: "directory", path, mode: 0o755 })),
    // The kernel opens it as the standard streams of PID 1.
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
