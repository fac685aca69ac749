import { checked } from "../libc/errno.ts";
import { mounts as libc, SYS_pivot_root } from "../libc/mounts.ts";
import { cString } from "../libc/strings.ts";
import type { System } from "../system.ts";

/** The part of {@link System} that concerns mounts. */
export const mountCalls = {
  mount(source, target, fstype, flags, data = null) {
    const from = cString(source);
    const to = cString(target);
    const type = fstype === null ? null : cString(fstype);
    const options = data === null ? null : cString(data);
    const bits = BigInt(flags);
    checked("mount", () => libc().mount(from, to, type, bits, options), target);
  },
  unmount(target, flags = 0) {
    const name = cString(target);
    checked("umount2", () => libc().umount2(name, flags), target);
  },
  pivotRoot(newRoot, putOld) {
    const to = cString(newRoot);
    const old = cString(putOld);
    const number = BigInt(SYS_pivot_root);
    checked("pivot_root", () => Number(libc().pivot_root(number, to, old)), newRoot);
  },
} satisfies Partial<System>;
