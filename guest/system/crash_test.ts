import assert from "node:assert/strict";
import { memoryConsole } from "../testing/memory_console.ts";
import { die } from "./crash.ts";

Deno.test("die writes one line of bounded length and exits", () => {
  const console = memoryConsole();
  const codes: number[] = [];
  const exit = (code: number): never => {
    codes.push(code);
    throw new Error("exited");
  };
  const error = new Error(`first\nsecond ${"x".repeat(10_000)}`);
  assert.throws(() => die(console, error, exit), /exited/);
  assert.throws(() => die(console, "a text", exit), /exited/);
  assert.deepEqual(codes, [1, 1]);
  const [long, short] = console.lines as [string, string];
  assert.match(long, /^\nqemubox: vminitd died: Error: first \| second x+…\n$/);
  assert.ok(long.length < 2_100);
  assert.equal(short, "\nqemubox: vminitd died: a text\n");
});

const CRASHES = {
  "an unhandled rejection": "Promise.reject(new Error('on purpose'))",
  "an error in a timer": "setTimeout(() => { throw new Error('on purpose') })",
  "an error in a listener": "reportError(new Error('on purpose'))",
};

for (const [name, script] of Object.entries(CRASHES)) {
  Deno.test(`${name} exits the process at once`, async () => {
    const crash = JSON.stringify(new URL("crash.ts", import.meta.url).href);
    const program = `import { dieOnUncaughtErrors } from ${crash};
      dieOnUncaughtErrors({ raw: (text) => console.log(text.trim()) }, Deno.exit);
      setInterval(() => {}, 1_000); // otherwise the process would exit anyway
      ${script};`;
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", "--ext=js", program],
    }).output();
    assert.equal(code, 1);
    assert.match(new TextDecoder().decode(stdout), /^qemubox: vminitd died: Error: on purpose/);
  });
}
