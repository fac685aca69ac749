/**
 * QEMU, and vhost-device-vsock where it is used, run with nothing of the host but the descriptors
 * that they were given.
 */

import assert from "node:assert/strict";
import { isThere } from "../../base/mod.ts";
import { asUser } from "../lib/as_user.ts";
import { assertConfined, namespaces } from "../lib/confined.ts";
import { removeClientFifos } from "../lib/containers.ts";
import { Client, ctr, type Ended, podFlags, runArguments, task } from "../lib/ctr.ts";
import { qemuOf, shimOf } from "../lib/sandbox_processes.ts";
import { e2e } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

const SOON_MS = patience(5_000);
/** What a user may do to its own processes. */
const ALL_POWERS = ["signal", "environ", "mem", "descriptors", "file"];

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

/**
 * Returns what a user without capabilities may do to a process: signal it, read its environment,
 * open its memory as ptrace(2) does, list its descriptors, and open a file of them.
 */
async function powersOver(pid: number, uid: number): Promise<string[]> {
  const files = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => name).join(" ");
  const script = `kill -0 ${pid} && echo signal
    for file in environ mem; do (exec 3</proc/${pid}/$file) && echo $file; done
    ls /proc/${pid}/fd >/dev/null && echo descriptors
    for file in ${files}; do (exec 3</proc/${pid}/fd/$file) && echo file && break; done`;
  const { stdout } = await asUser(uid, ["sh", "-c", script]);
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
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
      assert.deepEqual(await powersOver(pid, uid), ALL_POWERS);
      assert.deepEqual(await powersOver(second, uid), []);
      assert.deepEqual(await powersOver(shimOf(one), uid), []);
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
