import assert from "node:assert/strict";
import { after, delay } from "../../base/mod.ts";
import { isSystemError, poller, system } from "../../ffi/mod.ts";
import { freeze, thaw } from "./freezer.ts";

/** Runs a test with a directory that looks like a cgroup. */
async function inCgroup(
  events: string,
  run: (cgroup: string, asked: () => string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  Deno.writeTextFileSync(`${directory}/cgroup.events`, events);
  Deno.writeTextFileSync(`${directory}/cgroup.freeze`, "0");
  try {
    await run(directory, () => Deno.readTextFileSync(`${directory}/cgroup.freeze`));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
const never = new AbortController().signal;

Deno.test("a cgroup is frozen and thawed", () =>
  inCgroup("populated 1\nfrozen 1\n", async (cgroup, asked) => {
    await freeze(system, poller, cgroup, () => false, never);
    assert.equal(asked(), "1");
    thaw(cgroup);
    assert.equal(asked(), "0");
  }));

Deno.test("freeze does not wait for an empty cgroup", () =>
  inCgroup(
    "populated 0\nfrozen 0\n",
    (cgroup) => freeze(system, poller, cgroup, () => false, never),
  ));

Deno.test("freeze waits until the cgroup is frozen", () =>
  inCgroup("populated 1\nfrozen 0\n", async (cgroup) => {
    const frozen = freeze(system, poller, cgroup, () => false, never);
    await delay(20);
    Deno.writeTextFileSync(`${cgroup}/cgroup.events`, "populated 1\nfrozen 1\n");
    await frozen;
  }));

Deno.test("a cgroup that does not freeze in time is thawed", () =>
  inCgroup("populated 1\nfrozen 0\n", async (cgroup, asked) => {
    const late = new AbortController();
    using _timer = after(20, () => late.abort(new Error("too late")));
    await assert.rejects(freeze(system, poller, cgroup, () => false, late.signal), /too late/);
    assert.equal(asked(), "0");
  }));

Deno.test("a process that waits for its child's exec is thawed and frozen again", () =>
  inCgroup("populated 1\nfrozen 1\n", async (cgroup, asked) => {
    const seen: string[] = [];
    const inVfork = () => seen.push(asked()) < 3;
    await freeze(system, poller, cgroup, inVfork, never);
    assert.deepEqual([seen, asked()], [["1", "1", "1"], "1"]);
  }));

Deno.test("a process that waits forever is frozen all the same", () =>
  inCgroup("populated 1\nfrozen 1\n", async (cgroup, asked) => {
    await freeze(system, poller, cgroup, () => true, never);
    assert.equal(asked(), "1");
  }));

Deno.test("a missing cgroup can be thawed, not frozen", async () => {
  thaw("/no/such/cgroup");
  await assert.rejects(
    freeze(system, poller, "/no/such/cgroup", () => false, never),
    (error) => isSystemError(error, "ENOENT"),
  );
});
