/** What holds for QEMU and vhost-device-vsock of every sandbox, whatever it consists of. */

import assert from "node:assert/strict";
import { sandboxProcesses, shimOf } from "./sandbox_processes.ts";

const NAMESPACES = ["mnt", "pid", "ipc", "uts", "net", "cgroup"];
const ACCESS_MODE = 0o3;
/** What QEMU may write to besides pipes and sockets: memory, the writable disk, devices. */
const WRITABLE_FILE =
  /^(\/memfd:|\/null$|\/var\/lib\/qemubox\/|\/dev\/(kvm|vhost-vsock|vhost-net|net\/tun)$)/;
const DESCRIPTORS = new RegExp(
  [
    /^(pipe|socket):\[\d+\]$/,
    /^anon_inode:\[(eventfd|signalfd|io_uring|eventpoll)\]$/,
    /^\/memfd:memory-backend-memfd \(deleted\)$/,
    /^\/null$/,
    /^\/dev\/(kvm|vhost-vsock|vhost-net|net\/tun)$/,
    /^anon_inode:kvm-(vm|vm-stats|vcpu:\d+|vcpu-stats:\d+)$/,
    /^\/run\/qemubox\/(cid|uid)\/(cid|uid)-\d+\.lock$/,
    /\/(qboot\.rom|qemubox-(kernel-x86_64|initrd|root)|layers\.vmdk|layer\.erofs)$/,
    /^\/var\/lib\/qemubox\/[^/]+$/,
  ].map(({ source }) => source).join("|"),
);

/** Checks everything that holds for the QEMU of a sandbox, and its helper. Returns its user id. */
export function assertConfined(pid: number, id: string): number {
  const shim = shimOf(id);
  const uid = assertUnprivileged(pid, shim);
  assert.deepEqual(status(pid, "Seccomp"), ["2"]);
  assert.equal(Deno.readLinkSync(`/proc/${pid}/cwd`), "/");
  assert(hardLimit(pid, "Max file size") <= 10 * 1024 ** 3);
  assertDescriptors(pid);
  for (const { pid: helper, role } of sandboxProcesses(id)) {
    if (role !== "vhost-device-vsock") continue;
    assert.equal(assertUnprivileged(helper, shim), uid);
    assert.equal(hardLimit(helper, "Max file size"), 0);
    // It could not replace its sockets, which the shim connects to, nor use its working directory.
    const { uid: owner, mode } = Deno.statSync(`/proc/${helper}/cwd`);
    assert.deepEqual([owner, mode! & 0o777], [0, 0o700]);
  }
  return uid;
}

/** Checks what holds for every confined process. Returns its user id. */
function assertUnprivileged(pid: number, shim: number): number {
  const uids = [...status(pid, "Uid"), ...status(pid, "Gid")];
  assert.equal(new Set(uids).size, 1, uids.join(" "));
  const uid = Number(uids[0]);
  assert(uid >= 1_879_048_192 && uid <= 1_879_113_727, `${uid}`);
  assert.deepEqual(status(pid, "Groups"), [""]);
  for (const name of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
    assert.deepEqual(status(pid, name), ["0000000000000000"], name);
  }
  assert.deepEqual(status(pid, "NoNewPrivs"), ["1"]);

  namespaces(pid).forEach((one, index) => {
    const kind = NAMESPACES[index]!;
    for (const other of [1, Deno.pid, shim]) {
      assert.notEqual(one, Deno.readLinkSync(`/proc/${other}/ns/${kind}`), `${kind} of ${other}`);
    }
  });
  assert.deepEqual([...Deno.readDirSync(`/proc/${pid}/root`)], []);
  assert.equal(Deno.readTextFileSync(`/proc/${pid}/mountinfo`).trim().split("\n").length, 2);
  assert.throws(() => Deno.mkdirSync(`/proc/${pid}/root/x`), /os error 30/);

  assert.equal(hardLimit(pid, "Max core file size"), 0);
  assert(hardLimit(pid, "Max open files") <= 1024);
  assert(hardLimit(pid, "Max processes") <= 512);
  const score = (of: number) => Number(Deno.readTextFileSync(`/proc/${of}/oom_score_adj`));
  assert(score(pid) > score(shim), "the host's OOM killer prefers it");
  return uid;
}

/** QEMU has no directory, no device by path, and writes to its own files only. */
function assertDescriptors(pid: number): void {
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    const path = `/proc/${pid}/fd/${name}`;
    const target = Deno.readLinkSync(path);
    assert.match(target, DESCRIPTORS);
    if (!target.startsWith("/")) continue;
    const info = Deno.readTextFileSync(`/proc/${pid}/fdinfo/${name}`);
    const flags = parseInt(/^flags:\s*([0-7]+)$/m.exec(info)![1]!, 8);
    if ((flags & ACCESS_MODE) !== 0) assert.match(target, WRITABLE_FILE);
    assert(!Deno.statSync(path).isDirectory, target);
  }
}

/** Returns words of a line of /proc/PID/status. */
function status(pid: number, name: string): string[] {
  const text = Deno.readTextFileSync(`/proc/${pid}/status`);
  return new RegExp(`^${name}:(.*)$`, "m").exec(text)![1]!.trim().split(/\s+/);
}

/** Returns a process's namespaces, in the same order for each. */
export function namespaces(pid: number): string[] {
  return NAMESPACES.map((kind) => Deno.readLinkSync(`/proc/${pid}/ns/${kind}`));
}

/** Returns a hard limit of a process, in the unit of proc_pid_limits(5). */
function hardLimit(pid: number, name: string): number {
  const limits = Deno.readTextFileSync(`/proc/${pid}/limits`);
  return Number(new RegExp(`^${name} +\\S+ +(\\S+)`, "m").exec(limits)![1]);
}
