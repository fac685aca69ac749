import assert from "node:assert/strict";
import { timelineSvg } from "./timeline_svg.ts";
import { resultOf, rowOf } from "./testing.ts";

Deno.test("parts follow each other, with the floor above them", () => {
  const svg = timelineSvg(resultOf([
    rowOf("floor", 1000),
    rowOf("boot-qemu", 500),
    rowOf("boot-kernel", 1500),
  ]));
  const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)"[^>]*><title>([^<]*)/g)]
    .map(([, x, width, title]) => [Number(x), Number(width), title]);
  assert.deepEqual(bars, [
    [110, 365, "floor: 1000 ms"],
    [110, 182.5, "QEMU, firmware: 500 ms"],
    [292.5, 547.5, "kernel: 1500 ms"],
  ]);
  assert(svg.includes("Test &lt;CPU> &amp; Co"));
});

Deno.test("a result without a boot is refused", () => {
  assert.throws(() => timelineSvg(resultOf([rowOf("floor", 1000)])), /no boot was measured/);
});
