import assert from "node:assert/strict";
import { MS, type System, SystemError } from "../../ffi/mod.ts";
import { EARLY_MOUNTS, mountEarly } from "./early_mounts.ts";

/** A system that can mount, and nothing else. */
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

Deno.test("a folder is there before it is mounted on, parents come first", () => {
  // What is in the root image, and in sysfs.
  const folders = ["/dev", "/sys", "/sys/fs/cgroup", "/run", "/tmp"];
  const { system, done } = mounter((target) => assert.ok(folders.includes(target), target));
  mountEarly(system, EARLY_MOUNTS, (path) => folders.push(path));
  assert.equal(done.length, EARLY_MOUNTS.length);
  const targets = EARLY_MOUNTS.map(({ target }) => target);
  assert.equal(new Set(targets).size, targets.length);
  targets.forEach((target, index) => {
    const hidden = targets.slice(0, index).find((earlier) => earlier.startsWith(`${target}/`));
    assert.equal(hidden, undefined, `${target} would hide ${hidden}`);
  });
});

Deno.test("programs and devices are kept out of where they have no business", () => {
  for (const { target, flags } of EARLY_MOUNTS) {
    assert.ok((flags & MS.NOSUID) !== 0, target);
    const devices = ["/dev", "/dev/pts", "/run"].includes(target);
    assert.equal((flags & MS.NODEV) === 0, devices, target);
  }
});

Deno.test("what stage 0 has mounted is not mounted again, all else is", () => {
  const stage0 = Deno.readTextFileSync(new URL("../../build/initrd/init", import.meta.url));
  assert.match(stage0, /^mount -t proc .* \/root\/proc$/m);
  const targets = EARLY_MOUNTS.map(({ target }) => target);
  assert.ok(!targets.includes("/proc"));
  assert.ok(targets.includes("/dev"));
});

Deno.test("a file system that the kernel lacks ends the boot", () => {
  const { system, done } = mounter((target) => {
    if (target === "/dev/mqueue") throw new SystemError("mount", "ENODEV", { path: target });
  });
  assert.throws(() => mountEarly(system, EARLY_MOUNTS, () => {}), /\/dev\/mqueue/);
  assert.ok(done.length < EARLY_MOUNTS.length);
});
