import assert from "node:assert/strict";
import { processStartTime, system } from "../../ffi/mod.ts";
import { firstFacts, Lease, type LeaseFacts } from "../lease/lease.ts";
import { RESERVED_DIRECTORIES, sandboxPaths } from "../base/names.ts";
import { isForgotten, reconcile } from "./reconcile.ts";
import { exists, MemoryLog, temporaryFolder } from "../testing/test_support.ts";

const pid = system.getpid();
const alive = { role: "shim", pid, startTime: processStartTime(pid)! };
const dead = { ...alive, startTime: `${alive.startTime}0` };

function facts(init: Partial<LeaseFacts>): LeaseFacts {
  const name = { namespace: "default", id: "c1" };
  const paths = sandboxPaths({ runDir: "/no/such" }, name);
  const first = { bundle: "/no/such/bundle", socketPath: "/no/such/socket" };
  return { ...firstFacts(paths, name, first), shim: dead, ...init };
}

Deno.test("a sandbox is forgotten if it has neither a living shim nor a bundle", () => {
  using directory = temporaryFolder();
  assert.equal(isForgotten(facts({})), true);
  assert.equal(isForgotten(facts({ shim: alive })), false);
  assert.equal(isForgotten(facts({ bundle: directory.path })), false, "containerd will delete it");
  assert.equal(
    isForgotten(facts({ shim: null, bundle: directory.path })),
    false,
    "the shim is starting",
  );
  assert.equal(isForgotten(facts({ shim: null })), true, "start was killed");
  assert.equal(
    isForgotten(facts({ bundle: "/proc/self/stat/x" })),
    false,
    "the path cannot be read",
  );
});

Deno.test("reconcile removes forgotten sandboxes and nothing else", async () => {
  using directory = temporaryFolder();
  const config = { runDir: directory.path, stateDir: directory.path, cniBinDir: [] };
  const make = (namespace: string, id: string, shim: typeof alive) => {
    const name = { namespace, id };
    const paths = sandboxPaths(config, name);
    Deno.mkdirSync(paths.shared, { recursive: true });
    const lease = Lease.create(paths, name, {
      bundle: "/no/such/bundle",
      socketPath: `${directory.path}/socket-${namespace}-${id}`,
    });
    lease.record(null, { shim });
    return paths;
  };
  const forgotten = [
    make("default", "c1", dead),
    ...[...RESERVED_DIRECTORIES].map((namespace) => make(namespace, "c1", dead)),
  ];
  const kept = make("default", "c2", alive);
  Deno.mkdirSync(`${directory.path}/default/c3`);
  Deno.writeTextFileSync(`${directory.path}/default/c3/lease.json`, "null");
  Deno.writeTextFileSync(`${directory.path}/file`, "");
  const log = new MemoryLog();
  await reconcile(system, config, log);
  for (const paths of forgotten) {
    assert.ok(!exists(paths.lease) && !exists(paths.runtime), paths.lease);
  }
  assert.ok(exists(kept.lease) && exists(kept.runtime));
  assert.ok(exists(`${directory.path}/default/c3/lease.json`));
  assert.deepEqual(
    log.at("warn").sort(),
    ["default", ...RESERVED_DIRECTORIES].sort().map((namespace) =>
      `reconcile: removing a sandbox without shim and bundle sandbox=${namespace}/c1`
    ),
  );
  assert.deepEqual(log.at("error"), []);
});

Deno.test("reconcile does nothing on a host without sandboxes", async () => {
  const log = new MemoryLog();
  await reconcile(
    system,
    { runDir: "/no/such/directory", stateDir: "/no/such", cniBinDir: [] },
    log,
  );
  assert.deepEqual(log.lines, []);
});
