/**
 * Several containers in one VM: pods, made as containerd's CRI plugin does by annotations of their
 * specifications.
 */

import assert from "node:assert/strict";
import { Client, ctr, ctrOk, podFlags, runArguments, type Snapshotter, task } from "../lib/ctr.ts";
import { killTask, removeContainer } from "../lib/containers.ts";
import { KILLED_STATUS, KNOWN_WITHIN_MS } from "../lib/kills.ts";
import { kill, sandboxProcesses, shimOf } from "../lib/sandbox_processes.ts";
import { type Bench, e2e, withBoth } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

const PAUSE = ["sleep", "3600"];
const SOON_MS = patience(30_000);

/** The running first container of a pod, and how others join it. */
class TestPod {
  readonly id: string;
  readonly pid: number;
  readonly #snapshotter: Snapshotter;

  private constructor(id: string, pid: number, snapshotter: Snapshotter) {
    this.id = id;
    this.pid = pid;
    this.#snapshotter = snapshotter;
  }

  static async start(
    id: string,
    flags: readonly string[] = [],
    snapshotter: Snapshotter = "overlayfs",
  ): Promise<TestPod> {
    const all = ["-d", "--null-io", ...podFlags(id, "sandbox"), ...flags];
    await ctrOk(...runArguments(id, PAUSE, { snapshotter, flags: all }));
    return new TestPod(id, (await task(id))!.pid, snapshotter);
  }

  /** Returns the arguments of `ctr` that run a container in the pod. */
  args(id: string, command: readonly string[], flags: readonly string[] = []): string[] {
    const all = [...podFlags(this.id, "container"), ...flags];
    return runArguments(id, command, { snapshotter: this.#snapshotter, flags: all });
  }

  /** Runs a container in the pod until it exits. Returns its output. */
  async run(id: string, script: string, flags: readonly string[] = []): Promise<string> {
    return await ctrOk(...this.args(id, ["sh", "-c", script], ["--rm", ...flags]));
  }

  /** Returns flags for namespaces of its first container, as the CRI plugin sets them. */
  namespace(...types: readonly string[]): string[] {
    return types.flatMap((type) => ["--with-ns", `${type}:/proc/${this.pid}/ns/${type}`]);
  }

  async end(): Promise<void> {
    await killTask(this.id);
    await removeContainer(this.id);
  }
}

async function exec(id: string, script: string): Promise<string> {
  const execId = crypto.randomUUID().slice(0, 8);
  return await ctrOk("task", "exec", "--exec-id", execId, id, "sh", "-c", script);
}

/** Resolves when containerd reports a task as stopped, or does not know it any more. */
async function ended(id: string): Promise<void> {
  await until(`exit of ${id}`, KNOWN_WITHIN_MS, async () => {
    const known = await task(id);
    return known === null || known.status === "STOPPED" || null;
  });
}

/** Returns what the shim of a pod has mounted for its containers, except for the first. */
function mountsOfMembers(pod: string): string[] {
  return Deno.readTextFileSync(`/proc/${shimOf(pod)}/mountinfo`).split("\n")
    .filter((line) => /\/(containers|shared)\/c\d/.test(line));
}

const BOOT = "cat /proc/sys/kernel/random/boot_id";

e2e("the containers of a pod are in one VM, each with its own image and files", async (bench) => {
  await withBoth(async (snapshotter) => {
    const pod = await TestPod.start(bench.newId("pod"), [], snapshotter);
    const boot = await exec(pod.id, BOOT);
    const [first, second] = await Promise.all([
      pod.run(bench.newId(), `${BOOT}; echo 1 >/mine; cat /mine; hostname`),
      pod.run(bench.newId(), `${BOOT}; echo 2 >/mine; cat /mine; hostname`),
    ]);
    assert.deepEqual([first, second], [1, 2].map((own) => `${boot}${own}\n${pod.id}\n`));
    const { length } = sandboxProcesses(pod.id).filter(({ role }) => role === "qemu");
    assert.equal(length, 1);
    // The containers are gone with all their mounts.
    assert.deepEqual(mountsOfMembers(pod.id), []);
    await pod.end();
  });
});

e2e("a pod's containers have in common what their specifications say", async (bench) => {
  const folder = await Deno.makeTempDir();
  try {
    const pod = await TestPod.start(bench.newId("pod"), shm(folder));
    const id = bench.newId();
    const server = "echo from a >/dev/shm/a; echo page >/page; httpd -f -p 8080 -h /";
    const namespaces = pod.namespace("ipc", "uts");
    const flags = ["-d", "--null-io", ...shm(folder), ...namespaces];
    await ctrOk(...pod.args(id, ["sh", "-c", server], flags));
    const look = "cat /dev/shm/a; readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts";
    const ready = "until wget -qO- localhost:8080/page; do :; done";
    const seen = await pod.run(bench.newId(), `${ready}; ${look}; ls /page; ps`, [
      ...shm(folder),
      ...namespaces,
    ]).catch((error: Error) => error.message);
    // ls fails: the container has no such file. It sees only its own processes.
    const [page, shared, ipc, uts, ...rest] = seen.split("\n");
    assert.deepEqual([page, shared], ["page", "from a"]);
    assert.equal(`${ipc}\n${uts}\n`, await exec(pod.id, look.split("; ").slice(1).join("; ")));
    assert(!rest.join("\n").includes("httpd"), seen);
    // With a common PID namespace it sees those of the other.
    const pids = await pod.run(bench.newId(), "ps", pod.namespace("pid"));
    assert.match(pids, /sleep 3600/);
    await killTask(id);
    await removeContainer(id);
    await pod.end();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Returns the flags by which the CRI plugin shares /dev/shm in a pod: a directory of the host. */
function shm(folder: string): string[] {
  return ["--mount", `type=bind,src=${folder},dst=/dev/shm,options=rbind:rw`];
}

e2e(
  "volumes of a container that comes later are files and directories, read-only and replaced",
  async (bench) => {
    const folder = await Deno.makeTempDir();
    const write = (path: string, text: string) => Deno.writeTextFileSync(`${folder}/${path}`, text);
    try {
      for (const name of ["data", "secret", "secret/v1", "secret/v2"]) {
        Deno.mkdirSync(
          `${folder}/${name}`,
        );
      }
      write("secret/v1/key", "one\n");
      write("secret/v2/key", "two\n");
      write("file", "file\n");
      Deno.symlinkSync("v1", `${folder}/secret/..data`);
      const pod = await TestPod.start(bench.newId("pod"));
      const mount = (name: string, target: string, options: string) => [
        ...["--mount", `type=bind,src=${folder}/${name},dst=${target},options=rbind:${options}`],
      ];
      const flags = [
        ...mount("data", "/data", "rw"),
        ...mount("secret", "/secret", "ro"),
        ...mount("file", "/etc/file", "ro"),
      ];
      const id = bench.newId();
      await ctrOk(...pod.args(id, PAUSE, ["-d", "--null-io", ...flags]));
      assert.equal(
        await exec(id, "cat /etc/file /secret/..data/key; echo a >/data/a"),
        "file\none\n",
      );
      assert.equal(Deno.readTextFileSync(`${folder}/data/a`), "a\n");
      const refused = await exec(
        id,
        "for file in /secret/x /etc/file; do (echo x >$file) 2>&1; done; :",
      );
      assert.equal(refused.match(/Read-only file system/g)?.length, 2, refused);
      assert.equal(await pod.run(bench.newId(), "cat /data/a; echo b >/data/b", flags), "a\n");
      assert.equal(await exec(id, "cat /data/b"), "b\n");
      Deno.symlinkSync("v2", `${folder}/secret/new`);
      Deno.renameSync(`${folder}/secret/new`, `${folder}/secret/..data`);
      await until("the new secret", SOON_MS, async () => {
        return await exec(id, "cat /secret/..data/key") === "two\n" || null;
      });
      await killTask(id);
      await removeContainer(id);
      assert.deepEqual(mountsOfMembers(pod.id), []);
      await pod.end();
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

e2e("a container that fails to join leaves the pod as it was", async (bench) => {
  const pod = await TestPod.start(bench.newId("pod"));
  const id = bench.newId();
  const refused: [RegExp, string[], string[]][] = [
    [/no such file or directory|not found/i, ["/no/such/command"], []],
    [/\/no\/such\/folder .*does not exist/, PAUSE, [
      ...["--mount", "type=bind,src=/no/such/folder,dst=/x,options=rbind:ro"],
    ]],
  ];
  for (const [why, command, flags] of refused) {
    const { code, stderr } = await ctr(...pod.args(id, command, ["--rm", ...flags]));
    assert.notEqual(code, 0);
    assert.match(stderr, why);
    assert.deepEqual(mountsOfMembers(pod.id), []);
  }
  assert.equal(await pod.run(id, "echo there"), "there\n");
  assert.equal((await task(pod.id))?.status, "RUNNING");
  await pod.end();
  const gone = await ctr(...pod.args(id, ["true"], ["--rm"]));
  assert.match(gone.stderr, /pod sandbox .* has no running shim/);
});

e2e("a container's end, limits and output in a pod are its own", async (bench) => {
  const pod = await TestPod.start(bench.newId("pod"));
  const limited = ["--memory-limit", String(32 << 20)];
  const fill = "dd if=/dev/zero of=/dev/null bs=64M count=1";
  const [full, failed, large] = await Promise.all([
    ctr(...pod.args(bench.newId(), ["sh", "-c", fill], ["--rm", ...limited])),
    ctr(...pod.args(bench.newId(), ["sh", "-c", "exit 42"], ["--rm"])),
    new Client(pod.args(bench.newId(), ["head", "-c", "4000000", "/dev/zero"], ["--rm"])).ended,
  ]);
  assert.deepEqual([full.code, failed.code, large.code], [KILLED_STATUS, 42, 0]);
  assert.equal(large.output.length, 4_000_000);
  assert.equal((await task(pod.id))?.status, "RUNNING");
  // A pod outlives its first container, until the last one exits.
  const id = bench.newId();
  await ctrOk(...pod.args(id, PAUSE, ["-d", "--null-io"]));
  await pod.end();
  assert.equal(await exec(id, "echo on"), "on\n");
  await killTask(id);
  await removeContainer(id);
});

for (const victim of ["qemu", "virtiofsd", "shim"] as const) {
  e2e(`SIGKILL of a pod's ${victim} ends all of its containers`, async (bench: Bench) => {
    const pod = await TestPod.start(bench.newId("pod"));
    const id = bench.newId();
    await ctrOk(...pod.args(id, PAUSE, ["-d", "--null-io"]));
    kill(sandboxProcesses(pod.id).find(({ role }) => role === victim)!.pid, "SIGKILL");
    for (const one of [id, pod.id]) {
      await ended(one);
      await removeContainer(one);
    }
    assert.deepEqual(sandboxProcesses(pod.id), []);
  });
}

e2e("SIGKILL of the shim of a pod whose first container is gone leaves nothing", async (bench) => {
  const pod = await TestPod.start(bench.newId("pod"));
  const id = bench.newId();
  await ctrOk(...pod.args(id, PAUSE, ["-d", "--null-io"]));
  await pod.end();
  kill(shimOf(pod.id), "SIGKILL");
  await ended(id);
  await removeContainer(id);
  assert.deepEqual(sandboxProcesses(pod.id), []);
});
