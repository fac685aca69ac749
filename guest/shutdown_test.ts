import assert from "node:assert/strict";
import { type System, SystemError } from "../ffi/mod.ts";
import { type Bundles } from "./bundles.ts";
import { memoryConsole } from "./console.ts";
import { type Reaper } from "./reaper.ts";
import { shutDown } from "./shutdown.ts";

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
    bundles: { deleteAll: () => step("unmount") } as unknown as Bundles,
    console,
    disconnected: () => Promise.resolve(),
  };
  return { steps, console, dependencies };
}

const ALL = ["kill -1 9", "childless", "unmount", "sync", "reboot restart"];

Deno.test("the guest ends in order", async () => {
  const { steps, console, dependencies } = setUp();
  await shutDown(dependencies);
  assert.deepEqual(steps, ALL);
  assert.deepEqual(console.lines, []);
});

Deno.test("whatever fails, the rest is tried and the machine is reset", async () => {
  const failing = ALL.slice(0, -1);
  const { steps, console, dependencies } = setUp(failing);
  await shutDown(dependencies);
  assert.deepEqual(steps, ALL);
  assert.equal(console.lines.length, failing.length);
});

Deno.test("it is no failure that there is nobody to kill", async () => {
  const { console, dependencies } = setUp();
  dependencies.system.kill = () => {
    throw new SystemError("kill", "ESRCH");
  };
  await shutDown(dependencies);
  assert.deepEqual(console.lines, []);
});

Deno.test("a host that does not hang up is not waited for for ever", async () => {
  const { steps, dependencies } = setUp();
  await shutDown({ ...dependencies, disconnected: () => new Promise(() => {}) });
  assert.equal(steps.at(-1), "reboot restart");
});

Deno.test("the reset waits for the host to hang up, which says that it has the answer", async () => {
  const { steps, dependencies } = setUp();
  const hangUp = Promise.withResolvers<void>();
  dependencies.system.sync = () => {
    setTimeout(() => {
      steps.push("host hangs up");
      hangUp.resolve();
    });
  };
  await shutDown({ ...dependencies, disconnected: () => hangUp.promise });
  assert.deepEqual(steps.slice(-3), ["unmount", "host hangs up", "reboot restart"]);
});
