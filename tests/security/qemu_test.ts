/**
 * QEMU, and vhost-device-vsock where it is used, run with nothing of the host but the descriptors
 * that they were given.
 */

import assert from "node:assert/strict";
import { isThere } from "../../base/mod.ts";
import { removeClientFifos } from "../lib/containers.ts";
import { Client, ctr, type Ended, podFlags, runArguments, task } from "../lib/ctr.ts";
import { qemuOf, sandboxProcesses, shimOf } from "../lib/sandbox_processes.ts";
import { e2e } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

const SOON_MS = patience(5_000);
const NAMESPACES = ["mnt", "pid", "ipc", "uts", "net", "cgroup"];
const ACCESS_MODE = 0o3;
/** What QEMU may write to besides pipes and sockets: memory, and the disk of the writable layer. */
const WRITABLE_FILE = /^(\/memfd:|\/null$|\/var\/lib\/qemubox\/)/;
const DESCRIPTORS = new RegExp(
  [
    /^(pipe|socket):\[\d+\]$/,
    /^anon_inode:\[(eventfd|signalfd|io_uring|eventpoll)\]$/,
    /^\/memfd:memory-backend-memfd \(deleted\)$/,
    /^\/null$/,
    /^\/run\/qemubox\/(cid|uid)\/(cid|uid)-\d+\.lock$/,
    /\/(qboot\.rom|qemubox-(kernel-x86_64|initrd|root)|layers\.vmdk|layer\.erofs)$/,
    /^\/var\/lib\/qemubox\/[^/]+$/,
  ].map(({ source }) => source).join("|"),
);

/** Runs a container that waits for a line, and does `work` meanwhile. Returns its outcome. */
async function whileRuns(
  id: string,
  { command = "", ...options }: Parameters<typeof runArguments>[2] & { command?: string },
  work: (pid: number) => Promise<void> | void,
): Promise<Ended> {
  const args = runArguments(id, ["sh", "-c", `${command} echo up; read _; ${command} echo down`], {
    ...options,
    flags: ["--rm", ...options.flags ?? []],
  });
  await using client = new Client(args, { input: true });
  await client.line("up");
  const pid = (await task(id))!.pid;
  assert.equal(pid, qemuOf(id));
  await work(pid);
  await client.write("go on\n");
  return await client.ended;
}

/** Returns words of a line of /proc/PID/status. */
function status(pid: number, name: string): string[] {
  const text = Deno.readTextFileSync(`/proc/${pid}/status`);
  return new RegExp(`^${name}:(.*)$`, "m").exec(text)![1]!.trim().split(/\s+/);
}

function namespaces(pid: number): string[] {
  return NAMESPACES.map((kind) => Deno.readLinkSync(`/proc/${pid}/ns/${kind}`));
}

function hardLimit(pid: number, name: string): number {
  const limits = Deno.readTextFileSync(`/proc/${pid}/limits`);
  return Number(new RegExp(`^${name} +\\S+ +(\\S+)`, "m").exec(limits)![1]);
}

/** Checks everything that holds for the QEMU of a sandbox, and its helper. Returns its user id. */
function assertConfined(pid: number, id: string): number {
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
  assert.equal(Deno.readTextFileSync(`/proc/${pid}/mountinfo`).trim().split("\n").length, 1);
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

/** Runs a command as a user without capabilities. Returns its exit status. */
async function as(uid: number, ...command: string[]): Promise<number> {
  const own = [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--bounding-set=-all"];
  const { code } = await new Deno.Command("setpriv", {
    args: [...own, "--no-new-privs", "--", ...command],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  return code;
}

e2e("QEMU is confined with either snapshotter, and two have nothing in common", async (bench) => {
  const [one, other] = [bench.newId(), bench.newId()];
  const command = "cat /etc/passwd >/copy && cmp /etc/passwd /copy && sync &&";
  const outcome = await whileRuns(one, { snapshotter: "erofs", command }, async (pid) => {
    const uid = assertConfined(pid, one);
    const ended = await whileRuns(other, { snapshotter: "overlayfs", command }, async (second) => {
      const secondUid = assertConfined(second, other);
      assert.notEqual(uid, secondUid);
      namespaces(pid).forEach((kind, index) => assert.notEqual(kind, namespaces(second)[index]));
      const script = (of: number) => `kill -0 ${of} || cat /proc/${of}/environ /proc/${of}/fd/*`;
      assert.equal(await as(uid, "sh", "-c", script(pid)), 0);
      assert.notEqual(await as(uid, "sh", "-c", script(second)), 0);
    });
    assert.deepEqual([ended.stdout, ended.stderr], ["up\ndown\n", ""]);
  });
  assert.deepEqual([outcome.stdout, outcome.stderr], ["up\ndown\n", ""]);
});

e2e("QEMU is confined with layers as files, volumes, and a layer in memory", async (bench) => {
  const folder = Deno.makeTempDirSync({ prefix: "e2e-qemu-" });
  try {
    Deno.writeTextFileSync(`${folder}/read`, "read me\n");
    await Deno.chmod(folder, 0o777);
    const id = bench.newId();
    const flags = [
      ...["--annotation", "io.qemubox.layers=files", "--annotation", "io.qemubox.writable=tmpfs"],
      ...["--mount", `type=bind,src=${folder},dst=/volume,options=rbind:rw`],
      ...["--mount", "type=bind,src=/etc,dst=/ro,options=rbind:ro"],
    ];
    const command = "cat /volume/read >/volume/written && cat /ro/passwd >/dev/null &&";
    const ended = await whileRuns(id, { snapshotter: "erofs", flags, command }, (pid) => {
      assertConfined(pid, id);
    });
    assert.deepEqual([ended.stdout, ended.stderr], ["up\ndown\n", ""]);
    assert.equal(Deno.readTextFileSync(`${folder}/written`), "read me\n");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

e2e("QEMU of a pod is confined, and the pod takes another container", async (bench) => {
  const [first, second] = [bench.newId(), bench.newId()];
  const pod = { flags: podFlags(first, "sandbox") };
  const ended = await whileRuns(first, pod, async (pid) => {
    assertConfined(pid, first);
    const flags = ["--rm", ...podFlags(first, "container")];
    const { stdout, stderr } = await ctr(...runArguments(second, ["cat", "/etc/group"], { flags }));
    assert.match(stdout, /^root:/, stderr);
    assertConfined(pid, first);
  });
  assert.deepEqual([ended.stdout, ended.stderr], ["up\ndown\n", ""]);
});

e2e("copying through the task's pid neither reads nor writes the host", async (bench) => {
  const id = bench.newId();
  const watched = Deno.makeTempFileSync({ prefix: "e2e-watched-" });
  try {
    Deno.writeTextFileSync(watched, "of the host\n");
    await whileRuns(id, {}, async (pid) => {
      const root = `/proc/${pid}/root`;
      const copy = async (...paths: string[]) =>
        (await new Deno.Command("cp", { args: paths, stderr: "null" }).output()).code;
      assert.notEqual(await copy(`${root}${watched}`, "/dev/null"), 0);
      assert.notEqual(await copy(`${root}/etc/shadow`, "/dev/null"), 0);
      assert.notEqual(await copy("/etc/passwd", `${root}${watched}`), 0);
      assert.notEqual(await copy("/etc/passwd", `${root}/e2e-copied`), 0);
    });
    assert.equal(Deno.readTextFileSync(watched), "of the host\n");
    assert.throws(() => Deno.statSync("/e2e-copied"), Deno.errors.NotFound);
  } finally {
    Deno.removeSync(watched);
  }
});

e2e("a killed shim takes QEMU along, and the user id is free again", async (bench) => {
  const id = bench.newId();
  const { code } = await ctr(...runArguments(id, ["sleep", "600"], { flags: ["-d"] }));
  assert.equal(code, 0);
  const uid = assertConfined(qemuOf(id), id);
  const lock = `/run/qemubox/uid/uid-${uid}.lock`;
  assert(Deno.statSync(lock).isFile);
  Deno.kill(shimOf(id), "SIGKILL");
  await ctr("task", "rm", "--force", id);
  await ctr("container", "rm", id);
  // containerd cleans up after the shim, by a process of its own.
  await until("release of the user id", SOON_MS, () => !isThere(lock) || null);
  removeClientFifos(id);
});
