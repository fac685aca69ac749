import assert from "node:assert/strict";
import { enterHostCgroup, hostCgroupOf, removeHostCgroup } from "./host_cgroup.ts";
import { Lease, readLease } from "../lease/lease.ts";
import { sandboxPaths } from "../base/names.ts";
import { enterSystemdScope, systemdScopeOf } from "./systemd_scope.ts";
import { exists, MemoryLog, temporaryFolder } from "../testing/test_support.ts";

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
  await enterHostCgroup("/there/pod/c1", { lease, log, pid: 42, root });
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

Deno.test("without cgroup v2 nothing is made; one that is there is left alone", async () => {
  using folder = temporaryFolder();
  const { lease } = leaseIn(folder.path);
  const log = new MemoryLog();
  const root = folder.path;
  await enterHostCgroup("/a/c1", { lease, log, pid: 42, root });
  assert(!exists(`${root}/a`));
  assert.deepEqual(log.lines, ["debug: host cgroup: the host has no cgroup v2"]);
  Deno.mkdirSync(`${root}/a/c1`, { recursive: true });
  Deno.writeTextFileSync(`${root}/cgroup.controllers`, "");
  await enterHostCgroup("/a/c1", { lease, log, pid: 42, root });
  assert.match(log.at("warn").join(), /is there already: not used/);
  assert.deepEqual(lease.facts.cgroups, []);
});

Deno.test("slice, prefix and name are a scope", () => {
  const rows: [string | undefined, string | null][] = [
    ["system.slice:nerdctl:c1", "system.slice nerdctl-c1.scope"],
    [
      "kubepods-besteffort-pod1.slice:cri-containerd:0a1b",
      "kubepods-besteffort-pod1.slice cri-containerd-0a1b.scope",
    ],
    [":crio:c1", "system.slice crio-c1.scope"],
    ["user.slice::c1", "user.slice c1.scope"],
    [undefined, null],
    ["", null],
    ["/a/c1", null],
    ["system.slice:c1", null],
    ["system.slice:a:", null],
    ["system.slice:a:b:c", null],
    ["system:a:b", null],
    ["system.slice:a:b/../c", null],
    ["-x y.slice:a:b", null],
    [`system.slice:a:${"b".repeat(250)}`, null],
  ];
  for (const [path, expected] of rows) {
    const scope = systemdScopeOf(path);
    assert.equal(scope && `${scope.slice} ${scope.unit}`, expected, path);
  }
});

Deno.test("where there is no systemd, its form is not used", async () => {
  using folder = temporaryFolder();
  const { lease } = leaseIn(folder.path);
  const log = new MemoryLog();
  const root = folder.path;
  Deno.writeTextFileSync(`${root}/cgroup.controllers`, "");
  const host = { lease, log, pid: 42, root, systemdFolder: `${root}/systemd` };
  await enterHostCgroup("system.slice:nerdctl:c1", host);
  assert.deepEqual(log.lines, ["debug: host cgroup: system.slice:nerdctl:c1 is not used"]);
});

Deno.test("what systemd refuses is told, with what it said", async () => {
  using folder = temporaryFolder();
  const command = `${folder.path}/systemd-run`;
  Deno.writeTextFileSync(command, "#!/bin/sh\necho no such slice >&2\nexit 1\n", { mode: 0o755 });
  await assert.rejects(
    enterSystemdScope({ slice: "a.slice", unit: "b.scope" }, 42, command),
    /systemd made no scope b\.scope in a\.slice: no such slice/,
  );
  await assert.rejects(
    enterSystemdScope({ slice: "a.slice", unit: "b.scope" }, 42, `${command}-not`),
  );
});
