import assert from "node:assert/strict";
import { delay } from "../../base/mod.ts";
import { system } from "../real_system.ts";
import type { Fd } from "../system.ts";
import { SystemError } from "../system_error.ts";

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof SystemError) return error.code;
    throw error;
  }
  return "none";
}

Deno.test("errno is right over many failing calls with garbage collections in between", () => {
  const { read, write } = system.pipe({ nonblock: "both" });
  const failing: [string, () => unknown][] = [
    ["ENOENT", () => system.open("/no/such/file", 0)],
    ["EBADF", () => system.read(-1 as Fd, new Uint8Array(1))],
    ["ENOTDIR", () => system.open("/dev/null/x", 0)],
    ["ECHILD", () => system.waitChild(1 as never)],
    ["ENOTSOCK", () => system.accept(read)],
    ["none", () => system.read(read, new Uint8Array(1))],
    ["EINVAL", () => system.setNonblock(write, true) ?? system.kill(system.getpid(), 4711)],
  ];
  let garbage: unknown[] = [];
  for (let round = 0; round < 60_000; round++) {
    const [expected, call] = failing[round % failing.length]!;
    const actual = codeOf(call);
    if (actual !== expected) assert.fail(`round ${round}: ${actual} instead of ${expected}`);
    garbage.push(new Uint8Array(256));
    if (garbage.length > 1000) garbage = [];
  }
  system.close(read);
  system.close(write);
});

Deno.test("errno is right while other threads make calls", async () => {
  let stop = false;
  const noise = (async () => {
    while (!stop) {
      await Promise.allSettled([Deno.stat("/no/such"), Deno.readFile("/proc/self/stat")]);
    }
  })();
  for (let turn = 0; turn < 50; turn++) {
    for (let i = 0; i < 200; i++) {
      assert.equal(codeOf(() => system.close(-1 as Fd)), "EBADF");
      assert.equal(codeOf(() => system.unmount("/no/such")), "ENOENT");
    }
    await delay(0);
  }
  stop = true;
  await noise;
});
