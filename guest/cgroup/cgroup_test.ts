import assert from "node:assert/strict";
import { cgroupOf, delegateControllers, killCgroup, processesIn } from "./cgroup.ts";

async function inDirectory(run: (directory: string) => void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("all controllers are delegated at once", () =>
  inDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/cgroup.controllers`, "cpuset cpu io memory pids\n");
    assert.deepEqual(delegateControllers(directory), []);
    const written = Deno.readTextFileSync(`${directory}/cgroup.subtree_control`);
    assert.equal(written, "+cpuset +cpu +io +memory +pids");
  }));

Deno.test("a controller that cannot be delegated is returned", () =>
  inDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/cgroup.controllers`, "cpu memory\n");
    Deno.mkdirSync(`${directory}/cgroup.subtree_control`); // makes the write fail
    const refused = delegateControllers(directory);
    assert.deepEqual(refused.map((text) => text.split(":")[0]), ["cpu", "memory"]);
  }));

Deno.test("cgroupOf returns the unified cgroup, and never the root", () =>
  inDirectory((directory) => {
    const write = (pid: number, text: string): void => {
      Deno.mkdirSync(`${directory}/${pid}`);
      Deno.writeTextFileSync(`${directory}/${pid}/cgroup`, text);
    };
    write(1, "0::/\n");
    write(2, "1:name=systemd:/x\n0::/default/c1\n");
    write(3, "1:name=systemd:/x\n");
    assert.equal(cgroupOf(1, directory), null);
    assert.equal(cgroupOf(2, directory), "/sys/fs/cgroup/default/c1");
    assert.equal(cgroupOf(3, directory), null);
    assert.equal(cgroupOf(4, directory), null);
  }));

Deno.test("processesIn includes cgroups that the container made", () =>
  inDirectory((directory) => {
    Deno.mkdirSync(`${directory}/a/b`, { recursive: true });
    Deno.writeTextFileSync(`${directory}/cgroup.procs`, "10\n11\n");
    Deno.writeTextFileSync(`${directory}/a/b/cgroup.procs`, "12\n");
    assert.deepEqual(processesIn(directory), [10, 11]); // a has no cgroup.procs: it is not a cgroup
    Deno.writeTextFileSync(`${directory}/a/cgroup.procs`, "");
    assert.deepEqual(processesIn(directory), [10, 11, 12]);
    assert.deepEqual(processesIn(`${directory}/gone`), []);
  }));

Deno.test("killCgroup of a missing cgroup creates no file", () =>
  inDirectory((directory) => {
    killCgroup(directory);
    assert.deepEqual([...Deno.readDirSync(directory)], []);
    Deno.writeTextFileSync(`${directory}/cgroup.kill`, "");
    killCgroup(directory);
    assert.equal(Deno.readTextFileSync(`${directory}/cgroup.kill`), "1");
  }));
