/**
 * Program for mounts_test.ts, run as root: mounts in a private mount namespace. Its exit code tells
 * whether all assertions held. Arguments: an empty directory, and the mount namespace of its
 * parent.
 */
import assert from "node:assert/strict";
import { Child, CLONE, isSystemError, MNT, MOUNT_ATTR, MS, O, system } from "../mod.ts";

const [directory, outside] = Deno.args as [string, string];
const namespace = (kind: string): string => Deno.readLinkSync(`/proc/thread-self/ns/${kind}`);
const isMounted = (path: string): boolean =>
  Deno.readTextFileSync("/proc/thread-self/mountinfo").includes(` ${path} `);
const throwsWith = (code: string, path: string, call: () => unknown): void =>
  assert.throws(call, (error) => isSystemError(error, code) && error.path === path);

assert.equal(namespace("mnt"), outside);
const before = system.open("/proc/thread-self/ns/mnt", O.RDONLY);
system.unshare(CLONE.FS | CLONE.NEWNS);
assert.notEqual(namespace("mnt"), outside, "everything below must stay in its own namespace");
system.mount("none", "/", null, MS.REC | MS.PRIVATE);

// A mount with options is visible to this thread and to its children.
const target = `${directory}/target`, bind = `${directory}/bind`;
Deno.mkdirSync(target);
Deno.mkdirSync(bind);
system.mount("tmpfs", target, "tmpfs", MS.NOSUID | MS.NODEV, "size=64k,mode=0700");
const line = Deno.readTextFileSync("/proc/thread-self/mountinfo").split("\n")
  .find((each) => each.includes(` ${target} `))!;
assert.match(line, /nosuid,nodev.* - tmpfs tmpfs rw,size=64k,mode=700/);
Deno.writeTextFileSync(`${target}/file`, "content");
const seen = Child.spawn({ path: "/usr/bin/test", args: ["-f", `${target}/file`] });
assert.equal((await seen.exited).code, 0);

// A read-only bind mount takes two calls.
system.mount(target, bind, null, MS.BIND);
system.mount("none", bind, null, MS.BIND | MS.REMOUNT | MS.RDONLY);
throwsWith("EROFS", `${bind}/new`, () => system.open(`${bind}/new`, O.CREAT | O.WRONLY));

// restrictMounts includes the mounts below.
const inner = `${target}/inner`, tree = `${directory}/tree`;
Deno.mkdirSync(inner);
Deno.mkdirSync(tree);
system.mount("tmpfs", inner, "tmpfs", 0);
system.mount(target, tree, null, MS.BIND | MS.REC);
system.restrictMounts(tree, MOUNT_ATTR.RDONLY | MOUNT_ATTR.NODEV);
throwsWith("EROFS", `${tree}/inner/new`, () => {
  return system.open(`${tree}/inner/new`, O.CREAT | O.WRONLY);
});
Deno.writeTextFileSync(`${inner}/new`, "the original mount is unchanged");
throwsWith("EINVAL", inner.replace("inner", "file"), () => {
  return system.restrictMounts(`${target}/file`, MOUNT_ATTR.RDONLY);
});
system.unmount(tree, MNT.DETACH);
system.unmount(inner);

// Errors, with their paths.
throwsWith("ENOENT", "/no/such", () => system.mount("tmpfs", "/no/such", "tmpfs", 0));
throwsWith("ENODEV", target, () => system.mount("x", target, "nonsensefs", 0));
throwsWith("EINVAL", directory, () => system.unmount(directory));
const held = system.open(`${target}/file`, O.RDONLY);
throwsWith("EBUSY", target, () => system.unmount(target));
system.close(held);
system.unmount(bind, MNT.DETACH);
// putOld is on the current root mount.
throwsWith("EBUSY", target, () => system.pivotRoot(target, directory));
throwsWith("ENOENT", "/no/new", () => system.pivotRoot("/no/new", "/no/new/old"));
system.unmount(target);
assert(!isMounted(target) && !isMounted(bind));

// setns returns to the original namespace.
system.mount("tmpfs", target, "tmpfs", 0);
system.setns(before, CLONE.NEWNS);
assert.equal(namespace("mnt"), outside);
assert(!isMounted(target));

// The host name of a UTS namespace is that of its children, not of the outside.
const name = Deno.hostname();
const uts = system.open("/proc/thread-self/ns/uts", O.RDONLY);
system.unshare(CLONE.NEWUTS);
system.setHostname("qemubox-test");
assert.equal(Deno.hostname(), "qemubox-test");
const script = 'test "$(cat /proc/sys/kernel/hostname)" = qemubox-test';
assert.equal((await Child.spawn({ path: "/bin/sh", args: ["-c", script] }).exited).code, 0);
system.setns(uts, CLONE.NEWUTS);
assert.equal(Deno.hostname(), name);
