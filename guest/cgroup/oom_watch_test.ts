import assert from "node:assert/strict";
import { delay, poll } from "../../base/mod.ts";
import { isSystemError, poller, system } from "../../ffi/mod.ts";
import { OomWatch } from "./oom_watch.ts";

Deno.test("each increase of the counter is reported once, until dispose", async () => {
  const directory = await Deno.makeTempDir();
  const count = (kills: number): void =>
    Deno.writeTextFileSync(`${directory}/memory.events`, `low 0\noom 9\noom_kill ${kills}\n`);
  count(0);
  let reported = 0;
  const watch = new OomWatch(system, poller, directory, () => reported++);
  assert.equal(reported, 0);
  count(1);
  watch.check();
  watch.check();
  assert.equal(reported, 1);
  count(3);
  // Without a check.
  assert(await poll(() => reported === 2 || null, { everyMs: 1, timeoutMs: 10_000 }));
  watch[Symbol.dispose]();
  count(4);
  watch.check();
  await delay(10);
  assert.equal(reported, 2);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a cgroup without the memory controller cannot be watched", () => {
  assert.throws(
    () => new OomWatch(system, poller, "/no/such/cgroup", () => {}),
    (error) => isSystemError(error, "ENOENT"),
  );
});
