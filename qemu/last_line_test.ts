import assert from "node:assert/strict";
import { LastLine } from "./last_line.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("LastLine keeps the last non-blank line, without control characters", () => {
  const last = new LastLine();
  assert.equal(last.text, "");
  last.push(bytes("one\r\n\x1b[1mtw"));
  assert.equal(last.text, "tw");
  last.push(bytes("o\x07\x1b[0m\r\n\r\n"));
  assert.equal(last.text, "two");
});

Deno.test("the reason that PID 1 prints wins over the panic that follows", () => {
  const last = new LastLine();
  last.push(bytes("qemubox: stage 0\nqemubox: vminitd died: Error: x\n"));
  last.push(bytes("Kernel panic - not syncing: Attempted to kill init!\n"));
  assert.equal(last.text, "qemubox: vminitd died: Error: x");
});

Deno.test("a kernel panic wins over the lines that follow it", () => {
  const last = new LastLine();
  last.push(bytes("Kernel panic - not syncing: no init\nCall Trace:\n foo\n"));
  last.push(bytes("---[ end Kernel panic - not syncing: no init ]---\n"));
  assert.equal(last.text, "Kernel panic - not syncing: no init");
});

Deno.test("an endless line does not use up memory", () => {
  const last = new LastLine();
  for (let index = 0; index < 100; index++) last.push(bytes("x".repeat(10_000)));
  assert(last.text.length <= 512);
});

Deno.test("LastLine finds what explains the end, wherever chunks end, and in a flood", () => {
  const text = "a\nqemubox: vminitd died: €\n\n \nKernel panic - x\nlast €\n\n";
  for (let cut = 0; cut <= bytes(text).length; cut++) {
    const last = new LastLine();
    last.push(bytes(text).subarray(0, cut));
    last.push(bytes(text).subarray(cut));
    assert.equal(last.text, "qemubox: vminitd died: €");
  }
  const last = new LastLine();
  last.push(bytes("seen\n"));
  last.push(bytes("\n".repeat(65_536)));
  last.push(bytes("x qemubox: vminitd died: y\n".repeat(10) + "\n".repeat(65_536)));
  assert.equal(last.text, "seen");
  last.push(bytes("Kernel panic - 1\nKernel panic - 2\n"));
  assert.equal(last.text, "Kernel panic - 1");
  last.push(bytes("qemubox: stage 0 failed: z\n"));
  assert.equal(last.text, "qemubox: stage 0 failed: z");
});
