import assert from "node:assert/strict";
import fc from "fast-check";
import { processStartTime, system } from "../../ffi/mod.ts";
import { Lease, readLease } from "./lease.ts";
import { sandboxPaths } from "../base/names.ts";
import { exists, temporaryFolder } from "../testing/test_support.ts";

const facts = { bundle: "/bundle", socketPath: "/run/containerd/s/0" };

function makeLease(runDir: string, name = { namespace: "default", id: "c1" }) {
  const paths = sandboxPaths({ runDir }, name);
  return { paths, lease: Lease.create(paths, name, facts) };
}

Deno.test("another process reads the lease as it was last written", () => {
  using directory = temporaryFolder();
  const { lease, paths } = makeLease(directory.path);
  const first = readLease(paths.lease);
  assert.deepEqual(first, {
    version: 1,
    namespace: "default",
    id: "c1",
    ...facts,
    shim: null,
    runtimeDir: paths.runtime,
    cidLock: null,
    userLock: null,
    processes: [],
    cgroups: [],
    intents: [],
    network: null,
    hooksOf: null,
  });
  lease.intend("cid");
  lease.intend("vm");
  assert.deepEqual(readLease(paths.lease)?.intents, ["cid", "vm"]);
  lease.record("cid", { cidLock: "/run/qemubox/cid/3" });
  assert.deepEqual(readLease(paths.lease), {
    ...first,
    cidLock: "/run/qemubox/cid/3",
    intents: ["vm"],
  });
});

Deno.test("only root can read a lease", () => {
  using directory = temporaryFolder();
  const { paths } = makeLease(directory.path);
  assert.equal(Deno.statSync(paths.lease).mode! & 0o077, 0);
  assert.equal(Deno.statSync(`${paths.lease}/lease.json`).mode! & 0o077, 0);
});

Deno.test("the shim takes over the lease that start made", () => {
  using directory = temporaryFolder();
  const { paths } = makeLease(directory.path);
  const opened = Lease.open(paths.lease);
  opened.record("shim", { shim: { role: "shim", pid: 7, startTime: "9" } });
  assert.deepEqual(readLease(paths.lease)?.shim, { role: "shim", pid: 7, startTime: "9" });
  assert.throws(() => Lease.open(`${directory.path}/none`), /no valid lease in .*none/);
});

Deno.test("recordProcesses adds processes with their start time, unless they have exited", () => {
  using directory = temporaryFolder();
  const { lease, paths } = makeLease(directory.path);
  const self = system.getpid();
  const startTime = processStartTime(self)!;
  lease.intend("qemu");
  lease.recordProcesses("qemu", [{ role: "qemu", pid: self }]);
  // No pid is this high (proc_sys_kernel(5), pid_max).
  lease.recordProcesses(null, [{ role: "gone", pid: 2 ** 30 as typeof self }]);
  lease.recordProcesses(null, [{ role: "virtiofsd", pid: self }]);
  assert.deepEqual(readLease(paths.lease)?.processes, [
    { role: "qemu", pid: self, startTime },
    { role: "virtiofsd", pid: self, startTime },
  ]);
  assert.deepEqual(readLease(paths.lease)?.intents, []);
});

Deno.test("an absent, damaged or foreign lease reads as null", () => {
  using directory = temporaryFolder();
  const { lease, paths } = makeLease(directory.path);
  const file = `${paths.lease}/lease.json`;
  const good = lease.facts;
  const foreign: [string, string][] = [
    ["empty", ""],
    ["cut off", JSON.stringify(good).slice(0, -5)],
    ["null", "null"],
    ["a number", "1"],
    ["a list", "[]"],
    ["a later version", JSON.stringify({ ...good, version: 2 })],
    ["too large", JSON.stringify({ ...good, bundle: "x".repeat(70_000) })],
    // An empty path is part of every command line: undoing such a lease would kill everything.
    ["an empty socket path", JSON.stringify({ ...good, socketPath: "" })],
    ["a relative runtime directory", JSON.stringify({ ...good, runtimeDir: "tmp" })],
    ["no processes", JSON.stringify({ ...good, processes: undefined })],
    ["a process without a number", JSON.stringify({ ...good, processes: [{ pid: "-1" }] })],
  ];
  for (const [what, text] of foreign) {
    Deno.writeTextFileSync(file, text);
    assert.equal(readLease(paths.lease), null, what);
  }
  Deno.writeTextFileSync(file, JSON.stringify(good));
  assert.deepEqual(readLease(paths.lease), good);
  Deno.removeSync(file);
  assert.equal(readLease(paths.lease), null);
  assert.equal(readLease(`${directory.path}/none`), null);
});

Deno.test("any text in place of a lease reads as null or as a lease", () => {
  using folder = temporaryFolder();
  const { lease, paths } = makeLease(folder.path);
  const good = JSON.stringify(lease.facts);
  const keys = Object.keys(lease.facts);
  const damaged = fc.oneof(
    fc.string(),
    fc.tuple(fc.nat(good.length), fc.string({ maxLength: 4 }))
      .map(([at, text]) => good.slice(0, at) + text + good.slice(at + text.length)),
    fc.tuple(fc.constantFrom(...keys), fc.jsonValue())
      .map(([key, value]) => JSON.stringify({ ...lease.facts, [key]: value })),
  );
  fc.assert(fc.property(damaged, (text) => {
    Deno.writeTextFileSync(`${paths.lease}/lease.json`, text);
    const facts = readLease(paths.lease);
    if (facts === null) return;
    assert.deepEqual(Object.keys(facts).sort(), keys.toSorted());
    for (const path of [facts.bundle, facts.socketPath, facts.runtimeDir]) {
      assert.ok(path.startsWith("/"), path);
    }
  }));
});

Deno.test("release leaves nothing of a lease, and other leases untouched", () => {
  using directory = temporaryFolder();
  const one = makeLease(directory.path);
  const two = makeLease(directory.path, { namespace: "default", id: "c2" });
  one.lease.release();
  assert.ok(!exists(one.paths.lease));
  assert.ok(readLease(two.paths.lease) !== null);
  two.lease.release();
  assert.deepEqual([...Deno.readDirSync(directory.path)], []);
  two.lease.release();
});
