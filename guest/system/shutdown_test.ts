import assert from "node:assert/strict";
import { type System, SystemError } from "../../ffi/mod.ts";
import { type Bundles } from "../bundle/bundles.ts";
import { memoryConsole } from "../testing/memory_console.ts";
import { type Reaper } from "../base/reaper.ts";
import { quiesce, reset } from "./shutdown.ts";

/** What is shut down, writing down what happens; the steps in `failing` throw. */
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

Deno.test("the guest comes to rest in order", async () => {
  const { steps, console, dependencies } = setUp();
  await quiesce(dependencies);
  assert.deepEqual(steps, ALL);
  assert.deepEqual(console.lines, []);
});

Deno.test("whatever fails, the rest is tried", async () => {
  const { steps, console, dependencies } = setUp(ALL);
  await quiesce(dependencies);
  assert.deepEqual(steps, ALL);
  assert.equal(console.lines.length, ALL.length);
});

Deno.test("it is no failure that there is nobody to kill", async () => {
  const { console, dependencies } = setUp();
  dependencies.system.kill = () => {
    throw new SystemError("kill", "ESRCH");
  };
  await quiesce(dependencies);
  assert.deepEqual(console.lines, []);
});

Deno.test("a host that does not hang up is not waited for for ever", async () => {
  const { steps, dependencies } = setUp();
  await reset(dependencies.system, new Promise(() => {}));
  assert.deepEqual(steps, ["reboot restart"]);
});

Deno.test("the reset waits for the host to hang up, which says that it has the answer", async () => {
  const { steps, dependencies } = setUp();
  const hangUp = Promise.withResolvers<void>();
  const done = reset(dependencies.system, hangUp.promise);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(steps, []);
  hangUp.resolve();
  await done;
  assert.deepEqual(steps, ["reboot restart"]);
});
