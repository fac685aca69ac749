import assert from "node:assert/strict";
import { isSystemError, poller, system } from "../../ffi/mod.ts";
import { freeze, thaw } from "./freezer.ts";

/** A folder that looks like a cgroup. */
async function inCgroup(
  events: string,
  run: (cgroup: string, asked: () => string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  Deno.writeTextFileSync(`${folder}/cgroup.events`, events);
  Deno.writeTextFileSync(`${folder}/cgroup.freeze`, "0");
  try {
    await run(folder, () => Deno.readTextFileSync(`${folder}/cgroup.freeze`));
  } finally {
    await Deno.remove(folder, { recursive: true });
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

Deno.test("a cgroup that becomes empty is waited for no longer", () =>
  inCgroup(
    "populated 0\nfrozen 0\n",
    (cgroup) => freeze(system, poller, cgroup, () => false, never),
  ));

Deno.test("it is waited for until it stands still", () =>
  inCgroup("populated 1\nfrozen 0\n", async (cgroup) => {
    const frozen = freeze(system, poller, cgroup, () => false, never);
    await new Promise((resolve) => setTimeout(resolve, 20));
    Deno.writeTextFileSync(`${cgroup}/cgroup.events`, "populated 1\nfrozen 1\n");
    await frozen;
  }));

Deno.test("what does not stand still in time is thawed", () =>
  inCgroup("populated 1\nfrozen 0\n", async (cgroup, asked) => {
    const late = new AbortController();
    setTimeout(() => late.abort(new Error("too late")), 20);
    await assert.rejects(freeze(system, poller, cgroup, () => false, late.signal), /too late/);
    assert.equal(asked(), "0");
  }));

Deno.test("what waits for its child's exec is let run on, and frozen again", () =>
  inCgroup("populated 1\nfrozen 1\n", async (cgroup, asked) => {
    const seen: string[] = [];
    const inVfork = () => seen.push(asked()) < 3;
    await freeze(system, poller, cgroup, inVfork, never);
    assert.deepEqual([seen, asked()], [["1", "1", "1"], "1"]);
  }));

Deno.test("what waits for ever is frozen all the same", () =>
  inCgroup("populated 1\nfrozen 1\n", async (cgroup, asked) => {
    await freeze(system, poller, cgroup, () => true, never);
    assert.equal(asked(), "1");
  }));

Deno.test("one that is gone can be thawed, not frozen", async () => {
  thaw("/no/such/cgroup");
  await assert.rejects(
    freeze(system, poller, "/no/such/cgroup", () => false, never),
    (error) => isSystemError(error, "ENOENT"),
  );
});
