import assert from "node:assert/strict";
import { delay } from "../../base/mod.ts";
import { type System, SystemError } from "../../ffi/mod.ts";
import { type Bundles } from "../bundle/bundles.ts";
import { memoryConsole } from "../testing/memory_console.ts";
import { type Reaper } from "../base/reaper.ts";
import { quiesce, reset } from "./shutdown.ts";

/** Parts of vminitd that record the steps; those in `failing` throw. */
function setUp(failing: readonly string[] = []) {
  const steps: string[] = [];
  const step = (name: string): void => {
    steps.push(name);
    if (failing.includes(name)) throw new Error(`${name} failed`);
  };
  const console = memoryConsole();
  const dependencies = {
    system: {
      kill: (pid: number, signal: number) => step(`kill ${pid} ${signal}`),
      sync: () => step("sync"),
      reboot: (command: string) => step(`reboot ${command}`),
    } as unknown as System,
    reaper: {
      childless: () => {
        step("childless");
        return Promise.resolve();
      },
    } as unknown as Reaper,
    bundles: {
      flushAll: () => step("flush"),
      deleteAll: () => step("unmount"),
    } as unknown as Bundles,
    console,
  };
  return { steps, console, dependencies };
}

const ALL = ["kill -1 9", "childless", "flush", "unmount", "sync"];

Deno.test("quiesce takes its steps in order", async () => {
  const { steps, console, dependencies } = setUp();
  await quiesce(dependencies);
  assert.deepEqual(steps, ALL);
  assert.deepEqual(console.lines, []);
});

Deno.test("a failed step does not stop the others", async () => {
  const { steps, console, dependencies } = setUp(ALL);
  await quiesce(dependencies);
  assert.deepEqual(steps, ALL);
  assert.equal(console.lines.length, ALL.length);
});

Deno.test("nobody to kill is not an error", async () => {
  const { console, dependencies } = setUp();
  dependencies.system.kill = () => {
    throw new SystemError("kill", "ESRCH");
  };
  await quiesce(dependencies);
  assert.deepEqual(console.lines, []);
});

Deno.test("reset waits only so long for a host that does not hang up", async () => {
  const { steps, dependencies } = setUp();
  await reset(dependencies.system, new Promise(() => {}));
  assert.deepEqual(steps, ["reboot restart"]);
});

Deno.test("reset waits until the host hangs up, which it does once it has the answer", async () => {
  const { steps, dependencies } = setUp();
  const hangUp = Promise.withResolvers<void>();
  const done = reset(dependencies.system, hangUp.promise);
  await delay(0);
  assert.deepEqual(steps, []);
  hangUp.resolve();
  await done;
  assert.deepEqual(steps, ["reboot restart"]);
});
