import assert from "node:assert/strict";
import { sandboxPaths } from "../base/names.ts";
import { Lease, readLease } from "../lease/lease.ts";
import { exists, MemoryLog, temporaryFolder } from "../testing/test_support.ts";
import { enterHostCgroup, hostCgroupOf, removeHostCgroup } from "./host_cgroup.ts";

Deno.test("a cgroup path is used if it has a parent, in no other form", () => {
  assert.equal(hostCgroupOf("/k8s.io/c1"), "/k8s.io/c1");
  assert.equal(hostCgroupOf("//a//b/c/"), "/a/b/c");
  const others = [undefined, "", "/", "/c1", "a/b", "/a/../b", "/a/./b", "system.slice:cri:c1"];
  for (const path of others) assert.equal(hostCgroupOf(path), null, path);
});

function leaseIn(directory: string): { lease: Lease; path: string } {
  const name = { namespace: "default", id: "c1" };
  const paths = sandboxPaths({ runDir: `${directory}/run` }, name);
  const facts = { bundle: "/bundle", socketPath: "/socket" };
  return { lease: Lease.create(paths, name, facts), path: paths.lease };
}

Deno.test("only missing cgroups are made and removed, and the lease records them first", async () => {
  using directory = temporaryFolder();
  const root = `${directory.path}/cgroup`;
  Deno.mkdirSync(`${root}/there`, { recursive: true });
  Deno.writeTextFileSync(`${root}/cgroup.controllers`, "memory");
  const { lease, path } = leaseIn(directory.path);
  const log = new MemoryLog();
  await enterHostCgroup("/there/pod/c1", { lease, log, pid: 42, root });
  assert.deepEqual(log.lines, []);
  assert.equal(Deno.readTextFileSync(`${root}/there/pod/c1/cgroup.procs`), "42");
  const facts = readLease(path)!;
  assert.deepEqual(facts.cgroups, [`${root}/there/pod`, `${root}/there/pod/c1`]);
  assert.deepEqual(facts.intents, []);
  // The kernel removes its own with the directory.
  Deno.removeSync(`${root}/there/pod/c1/cgroup.procs`);
  const intended = { ...facts, cgroups: [], intents: [`cgroup ${JSON.stringify(facts.cgroups)}`] };
  await removeHostCgroup(intended);
  assert(!exists(`${root}/there/pod`) && exists(`${root}/there`));
  await removeHostCgroup(facts);
});

Deno.test("no cgroup is made without cgroup v2, and an existing one is not used", async () => {
  using directory = temporaryFolder();
  const { lease } = leaseIn(directory.path);
  const log = new MemoryLog();
  const root = directory.path;
  await enterHostCgroup("/a/c1", { lease, log, pid: 42, root });
  assert(!exists(`${root}/a`));
  assert.deepEqual(log.lines, ["debug: host cgroup: the host has no cgroup v2"]);
  Deno.mkdirSync(`${root}/a/c1`, { recursive: true });
  Deno.writeTextFileSync(`${root}/cgroup.controllers`, "");
  await enterHostCgroup("/a/c1", { lease, log, pid: 42, root });
  assert.deepEqual(log.at("warn"), ["host cgroup /a/c1 already exists, not using it"]);
  assert.deepEqual(lease.facts.cgroups, []);
});

Deno.test("a cgroup path in systemd's form is not used without systemd", async () => {
  using directory = temporaryFolder();
  const { lease } = leaseIn(directory.path);
  const log = new MemoryLog();
  const root = directory.path;
  Deno.writeTextFileSync(`${root}/cgroup.controllers`, "");
  const host = { lease, log, pid: 42, root, systemdFolder: `${root}/systemd` };
  await enterHostCgroup("system.slice:nerdctl:c1", host);
  assert.deepEqual(log.lines, ["debug: host cgroup: system.slice:nerdctl:c1 is not used"]);
});
