import assert from "node:assert/strict";
import { isSystemError, poller, system } from "../../ffi/mod.ts";
import { OomWatch } from "./oom_watch.ts";

Deno.test("each growth of the counter is told once, until the watch ends", async () => {
  const folder = await Deno.makeTempDir();
  const count = (kills: number): void =>
    Deno.writeTextFileSync(`${folder}/memory.events`, `low 0\noom 9\noom_kill ${kills}\n`);
  count(0);
  let told = 0;
  const watch = new OomWatch(system, poller, folder, () => told++);
  assert.equal(told, 0);
  count(1);
  watch.check();
  watch.check();
  assert.equal(told, 1);
  count(3);
  while (told < 2) await new Promise((resolve) => setTimeout(resolve, 1)); // by itself
  watch[Symbol.dispose]();
  count(4);
  watch.check();
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(told, 2);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a cgroup without the memory controller cannot be watched", () => {
  assert.throws(
    () => new OomWatch(system, poller, "/no/such/cgroup", () => {}),
    (error) => isSystemError(error, "ENOENT"),
  );
});
