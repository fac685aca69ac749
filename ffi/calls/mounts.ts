import { MS } from "../constants.ts";
import { fields, MOUNT_ATTR, structure } from "../layouts.ts";
import { checked } from "../libc/errno.ts";
import { mounts as libc, SYS_mount_setattr, SYS_pivot_root } from "../libc/mounts.ts";
import { cString } from "../libc/strings.ts";
import type { System } from "../system.ts";

/** linux/fcntl.h */
const AT_FDCWD = -100n, AT_RECURSIVE = 0x8000n;

/** Mount calls of {@link System}. */
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
  restrictMounts(target, attributes) {
    const name = cString(target);
    const wanted = structure(MOUNT_ATTR.size);
    fields(wanted).setBigUint64(MOUNT_ATTR.attr_set, BigInt(attributes), true);
    fields(wanted).setBigUint64(MOUNT_ATTR.propagation, BigInt(MS.PRIVATE), true);
    const [number, size] = [BigInt(SYS_mount_setattr), BigInt(MOUNT_ATTR.size)];
    const call = () => libc().mount_setattr(number, AT_FDCWD, name, AT_RECURSIVE, wanted, size);
    checked("mount_setattr", () => Number(call()), target);
  },
} satisfies Partial<System>;
