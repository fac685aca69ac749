import assert from "node:assert/strict";
import { enterHostCgroup, hostCgroupOf, removeHostCgroup } from "./host_cgroup.ts";
import { Lease, readLease } from "./lease.ts";
import { sandboxPaths } from "./names.ts";
import { exists, MemoryLog, temporaryFolder } from "./test_support.ts";

Deno.test("a cgroup below a parent is used, and no other form", () => {
  assert.equal(hostCgroupOf("/k8s.io/c1"), "/k8s.io/c1");
  assert.equal(hostCgroupOf("//a//b/c/"), "/a/b/c");
  const others = [undefined, "", "/", "/c1", "a/b", "/a/../b", "/a/./b", "system.slice:cri:c1"];
  for (const path of others) assert.equal(hostCgroupOf(path), null, path);
});

function leaseIn(folder: string): { lease: Lease; path: string } {
  const name = { namespace: "default", id: "c1" };
  const paths = sandboxPaths({ runDir: `${folder}/run` }, name);
  const facts = { bundle: "/bundle", socketPath: "/socket" };
  return { lease: Lease.create(paths, name, facts), path: paths.lease };
}

Deno.test("only what was not there is made and removed, and the lease knows of it before", async () => {
  using folder = temporaryFolder();
  const root = `${folder.path}/cgroup`;
  Deno.mkdirSync(`${root}/there`, { recursive: true });
  Deno.writeTextFileSync(`${root}/cgroup.controllers`, "memory");
  const { lease, path } = leaseIn(folder.path);
  const log = new MemoryLog();
  enterHostCgroup("/there/pod/c1", { lease, log, pid: 42, root });
  assert.deepEqual(log.lines, []);
  assert.equal(Deno.readTextFileSync(`${root}/there/pod/c1/cgroup.procs`), "42");
  const facts = readLease(path)!;
  assert.deepEqual(facts.cgroups, [`${root}/there/pod`, `${root}/there/pod/c1`]);
  assert.deepEqual(facts.intents, []);
  Deno.removeSync(`${root}/there/pod/c1/cgroup.procs`); // The kernel's goes with the folder.
  const intended = { ...facts, cgroups: [], intents: [`cgroup ${JSON.stringify(facts.cgroups)}`] };
  await removeHostCgroup(intended);
  assert(!exists(`${root}/there/pod`) && exists(`${root}/there`));
  await removeHostCgroup(facts);
});

Deno.test("without cgroup v2 nothing is made; one that is there is left alone", () => {
  using folder = temporaryFolder();
  const { lease } = leaseIn(folder.path);
  const log = new MemoryLog();
  const root = folder.path;
  enterHostCgroup("/a/c1", { lease, log, pid: 42, root });
  assert(!exists(`${root}/a`));
  assert.deepEqual(log.lines, ["debug: host cgroup: the host has no cgroup v2"]);
  Deno.mkdirSync(`${root}/a/c1`, { recursive: true });
  Deno.writeTextFileSync(`${root}/cgroup.controllers`, "");
  enterHostCgroup("/a/c1", { lease, log, pid: 42, root });
  assert.match(log.at("warn").join(), /is there already: not used/);
  assert.deepEqual(lease.facts.cgroups, []);
});
