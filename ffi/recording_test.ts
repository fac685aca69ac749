import assert from "node:assert/strict";
import { system } from "./real_system.ts";
import { recording } from "./recording.ts";
import type { Fd } from "./system.ts";
import { isSystemError } from "./system_error.ts";

Deno.test("calls are recorded with their outcomes", () => {
  const { double, calls } = recording(system);
  const pid = double.getpid();
  assert.throws(() => double.close(-1 as Fd));
  assert.deepEqual(calls[0], { name: "getpid", args: [], outcome: "returned", result: pid });
  assert.equal(calls[1]!.outcome, "threw");
  assert.deepEqual(calls[1]!.args, [-1]);
  assert(isSystemError(calls[1]!.result, "EBADF"));
});

Deno.test("any call can be failed, and is then not made", () => {
  const work = (target: typeof system): void => {
    const { read, write } = target.pipe();
    try {
      target.write(write, new Uint8Array(1));
      target.read(read, new Uint8Array(1));
    } finally {
      system.close(read);
      system.close(write);
    }
  };
  for (const [failAt, name] of ["pipe", "write", "read"].entries()) {
    const { double, calls } = recording(system, { failAt });
    assert.throws(() => work(double), (error) => isSystemError(error, "EIO"));
    assert.equal(calls.length, failAt + 1);
    assert.equal(calls[failAt]!.name, name);
    assert.equal(calls[failAt]!.outcome, "failed");
  }
  const { double, calls } = recording(system, { failAt: 3 });
  work(double);
  assert(calls.every(({ outcome }) => outcome === "returned"));
});

Deno.test("the error can depend on the call", () => {
  const { double } = recording(system, {
    failAt: 0,
    error: ({ name, args }) => new Error(`${name} of ${args[0]}`),
  });
  assert.throws(() => double.unmount("/m"), /unmount of \/m/);
});

Deno.test("async functions and classes with private state work", async () => {
  class Counter {
    #count = 0;
    step = 2;
    // deno-lint-ignore require-await -- a seam may be async without waiting
    async add(): Promise<number> {
      return this.#count += this.step;
    }
    fail(): Promise<void> {
      return Promise.reject(new Error("no"));
    }
  }
  const { double, calls } = recording(new Counter(), { failAt: 1 });
  assert.equal(double.step, 2);
  assert.equal(await double.add(), 2);
  assert.equal(calls[0]!.result, 2);
  const failed = double.add(); // does not throw, because an async function rejects
  await assert.rejects(failed, (error) => isSystemError(error, "EIO"));
  assert.equal(await double.add(), 4);
  await assert.rejects(double.fail(), /no/);
  assert.deepEqual(calls.map(({ outcome }) => outcome), [
    "returned",
    "failed",
    "returned",
    "threw",
  ]);
});
