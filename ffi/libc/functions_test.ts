import assert from "node:assert/strict";
import { functionsOf } from "./functions.ts";

Deno.test("a function is found by its name and called", () => {
  const libc = functionsOf({
    getpid: { parameters: [], result: "i32" },
    magnitude: { name: "labs", parameters: ["i64"], result: "i64" },
  });
  assert.equal(libc.getpid(), Deno.pid);
  assert.equal(libc.magnitude(-(2n ** 40n)), 2n ** 40n);
  assert.equal(libc.getpid, libc.getpid);
});

Deno.test("a function that is called often works after it was compiled", () => {
  const libc = functionsOf({
    magnitude: { name: "labs", parameters: ["i64"], result: "i64" },
  });
  const first = libc.magnitude;
  for (let n = 0n; n < 1000n; n++) assert.equal(libc.magnitude(-n), n);
  assert.notEqual(libc.magnitude, first);
  assert.equal(first(-7n), 7n);
});

Deno.test("a nonblocking function waits on another thread", async () => {
  const libc = functionsOf({
    usleep: { parameters: ["u32"], result: "i32", nonblocking: true },
  });
  const call = libc.usleep(1_000);
  assert(call instanceof Promise);
  assert.equal(await call, 0);
});

Deno.test("a missing function throws with its name at its first use", () => {
  const libc = functionsOf({ no_such_function: { parameters: [], result: "void" } });
  assert.throws(() => libc.no_such_function(), {
    name: "TypeError",
    message: "libc has no function no_such_function",
  });
});
