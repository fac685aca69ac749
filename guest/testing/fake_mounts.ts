import { type System, SystemError } from "../../ffi/mod.ts";

/** Returns a System that only records mounts and unmounts, and fails mount number `failAt`. */
export function fakeMounts(
  failAt: number = -1,
): { system: System; mounted: string[]; unmounted: string[] } {
  const mounted: string[] = [];
  const unmounted: string[] = [];
  let calls = 0;
  const system = {
    mount: (_source: string, target: string) => {
      if (calls++ === failAt) throw new SystemError("mount", "ENODEV", { path: target });
      mounted.push(target);
    },
    unmount: (target: string) => {
      const index = mounted.lastIndexOf(target);
      if (index < 0) throw new SystemError("umount2", "EINVAL", { path: target });
      mounted.splice(index, 1);
      unmounted.push(target);
    },
  } as unknown as System;
  return { system, mounted, unmounted };
}
