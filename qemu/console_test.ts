import assert from "node:assert/strict";
import fc from "fast-check";
import { LastLine, MarkerScanner } from "./console.ts";

const MARKER = "qemubox: vminitd ready";
const bytes = (text: string) => new TextEncoder().encode(text);

/** Text cut at arbitrary places. */
const pieces = (text: fc.Arbitrary<string>) =>
  fc.tuple(text, fc.array(fc.nat(200))).map(([whole, cuts]) => {
    const all = bytes(whole);
    const at = [0, ...cuts.map((cut) => cut % (all.length + 1)).sort((a, b) => a - b), all.length];
    return { whole, chunks: at.slice(1).map((end, index) => all.subarray(at[index], end)) };
  });
const marked = fc.tuple(fc.string(), fc.string()).map(([before, after]) => before + MARKER + after);
/** Text that is full of beginnings of the marker. */
const nearly = fc.array(fc.nat(MARKER.length - 1).map((end) => MARKER.slice(0, end))).map((parts) =>
  parts.join("")
);

Deno.test("the marker is found however the console is split", () => {
  fc.assert(fc.property(pieces(marked), ({ chunks }) => {
    const scanner = new MarkerScanner(MARKER);
    assert(chunks.map((chunk) => scanner.push(chunk)).at(-1));
  }));
});

Deno.test("nothing else is taken for the marker", () => {
  fc.assert(fc.property(pieces(nearly), ({ whole, chunks }) => {
    const scanner = new MarkerScanner(MARKER);
    const found = chunks.map((chunk) => scanner.push(chunk)).at(-1);
    assert.equal(found, whole.includes(MARKER));
  }));
});

Deno.test("the last line that is not blank, without control characters", () => {
  const last = new LastLine();
  assert.equal(last.text, "");
  last.push(bytes("one\r\n\x1b[1mtw"));
  assert.equal(last.text, "tw");
  last.push(bytes("o\x07\x1b[0m\r\n\r\n"));
  assert.equal(last.text, "two");
});

Deno.test("what PID 1 says of its end says more than the panic that follows", () => {
  const last = new LastLine();
  last.push(bytes("qemubox: stage 0\nqemubox: vminitd died: Error: x\n"));
  last.push(bytes("Kernel panic - not syncing: Attempted to kill init!\n"));
  assert.equal(last.text, "qemubox: vminitd died: Error: x");
});

Deno.test("a kernel panic says more than what follows it", () => {
  const last = new LastLine();
  last.push(bytes("Kernel panic - not syncing: no init\nCall Trace:\n foo\n"));
  last.push(bytes("---[ end Kernel panic - not syncing: no init ]---\n"));
  assert.equal(last.text, "Kernel panic - not syncing: no init");
});

Deno.test("an endless line costs no memory", () => {
  const last = new LastLine();
  for (let index = 0; index < 100; index++) last.push(bytes("x".repeat(10_000)));
  assert(last.text.length <= 512);
});
