import assert from "node:assert/strict";
import fc from "fast-check";
import { MarkerScanner } from "./marker_scanner.ts";

const MARKER = "qemubox: vminitd ready";
const bytes = (text: string) => new TextEncoder().encode(text);

/** Text that is split at arbitrary places. */
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

Deno.test("MarkerScanner finds the marker, wherever the console is split", () => {
  fc.assert(fc.property(pieces(marked), ({ chunks }) => {
    const scanner = new MarkerScanner(MARKER);
    assert(chunks.map((chunk) => scanner.push(chunk)).at(-1));
  }));
});

Deno.test("MarkerScanner takes nothing else for the marker", () => {
  fc.assert(fc.property(pieces(nearly), ({ whole, chunks }) => {
    const scanner = new MarkerScanner(MARKER);
    const found = chunks.map((chunk) => scanner.push(chunk)).at(-1);
    assert.equal(found, whole.includes(MARKER));
  }));
});
