import assert from "node:assert/strict";
import { cgroupOf, delegateControllers, killCgroup, processesIn } from "./cgroup.ts";

async function inFolder(run: (folder: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("all controllers are delegated at once", () =>
  inFolder((folder) => {
    Deno.writeTextFileSync(`${folder}/cgroup.controllers`, "cpuset cpu io memory pids\n");
    assert.deepEqual(delegateControllers(folder), []);
    const written = Deno.readTextFileSync(`${folder}/cgroup.subtree_control`);
    assert.equal(written, "+cpuset +cpu +io +memory +pids");
  }));

Deno.test("a controller that refuses is told", () =>
  inFolder((folder) => {
    Deno.writeTextFileSync(`${folder}/cgroup.controllers`, "cpu memory\n");
    Deno.mkdirSync(`${folder}/cgroup.subtree_control`); // cannot be written
    const refused = delegateControllers(folder);
    assert.deepEqual(refused.map((text) => text.split(":")[0]), ["cpu", "memory"]);
  }));

Deno.test("a process's cgroup is the unified one, and never the root", () =>
  inFolder((folder) => {
    const write = (pid: number, text: string): void => {
      Deno.mkdirSync(`${folder}/${pid}`);
      Deno.writeTextFileSync(`${folder}/${pid}/cgroup`, text);
    };
    write(1, "0::/\n");
    write(2, "1:name=systemd:/x\n0::/default/c1\n");
    write(3, "1:name=systemd:/x\n");
    assert.equal(cgroupOf(1, folder), null);
    assert.equal(cgroupOf(2, folder), "/sys/fs/cgroup/default/c1");
    assert.equal(cgroupOf(3, folder), null);
    assert.equal(cgroupOf(4, folder), null);
  }));

Deno.test("processes are found in cgroups that the container made, too", () =>
  inFolder((folder) => {
    Deno.mkdirSync(`${folder}/a/b`, { recursive: true });
    Deno.writeTextFileSync(`${folder}/cgroup.procs`, "10\n11\n");
    Deno.writeTextFileSync(`${folder}/a/b/cgroup.procs`, "12\n");
    assert.deepEqual(processesIn(folder), [10, 11]); // a has no cgroup.procs: it is none
    Deno.writeTextFileSync(`${folder}/a/cgroup.procs`, "");
    assert.deepEqual(processesIn(folder), [10, 11, 12]);
    assert.deepEqual(processesIn(`${folder}/gone`), []);
  }));

Deno.test("killing a cgroup that is gone makes nothing", () =>
  inFolder((folder) => {
    killCgroup(folder);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
    Deno.writeTextFileSync(`${folder}/cgroup.kill`, "");
    killCgroup(folder);
    assert.equal(Deno.readTextFileSync(`${folder}/cgroup.kill`), "1");
  }));
