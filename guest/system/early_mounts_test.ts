import assert from "node:assert/strict";
import { MS, type System, SystemError } from "../../ffi/mod.ts";
import { EARLY_MOUNTS, mountEarly } from "./early_mounts.ts";

/** A System that can only mount. */
function mounter(mount: (target: string) => void = () => {}): { system: System; done: string[] } {
  const done: string[] = [];
  const system = {
    mount: (source: string, target: string, fstype: string, flags: number, data: string | null) => {
      mount(target);
      done.push([source, target, fstype, flags, data].join(" "));
    },
  } as unknown as System;
  return { system, done };
}

Deno.test("a directory exists before it is mounted on, and parents come first", () => {
  // In the root image and in sysfs.
  const directories = ["/dev", "/sys", "/sys/fs/cgroup", "/run", "/tmp"];
  const { system, done } = mounter((target) => assert.ok(directories.includes(target), target));
  mountEarly(system, EARLY_MOUNTS, (path) => directories.push(path));
  assert.equal(done.length, EARLY_MOUNTS.length);
  const targets = EARLY_MOUNTS.map(({ target }) => target);
  assert.equal(new Set(targets).size, targets.length);
  targets.forEach((target, index) => {
    const hidden = targets.slice(0, index).find((earlier) => earlier.startsWith(`${target}/`));
    assert.equal(hidden, undefined, `${target} would hide ${hidden}`);
  });
});

Deno.test("setuid programs and devices are excluded where they are not needed", () => {
  for (const { target, flags } of EARLY_MOUNTS) {
    assert.ok((flags & MS.NOSUID) !== 0, target);
    const devices = ["/dev", "/dev/pts", "/run"].includes(target);
    assert.equal((flags & MS.NODEV) === 0, devices, target);
  }
});

Deno.test("mounts of stage 0 are not repeated", () => {
  const stage0 = Deno.readTextFileSync(new URL("../../build/initrd/init", import.meta.url));
  assert.match(stage0, /^mount -t proc .* \/root\/proc$/m);
  const targets = EARLY_MOUNTS.map(({ target }) => target);
  assert.ok(!targets.includes("/proc"));
  assert.ok(targets.includes("/dev"));
});

Deno.test("a file system that the kernel lacks fails the boot", () => {
  const { system, done } = mounter((target) => {
    if (target === "/dev/mqueue") throw new SystemError("mount", "ENODEV", { path: target });
  });
  assert.throws(() => mountEarly(system, EARLY_MOUNTS, () => {}), /\/dev\/mqueue/);
  assert.ok(done.length < EARLY_MOUNTS.length);
});
