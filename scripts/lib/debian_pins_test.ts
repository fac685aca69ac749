import assert from "node:assert/strict";
import { KERNEL_ROOT, TESTBED_ROOT } from "./debian_packages.ts";
import { differences, parsePackages, pinsFor, pinsOf } from "./debian_pins.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);

Deno.test("parsePackages reads lines of record_packages.sh and nothing else", () => {
  assert.deepEqual(parsePackages(`libc6 2.43-7 ${A}\nperl 1:5 ${B}\n`), [
    { name: "libc6", version: "2.43-7", sha256: A },
    { name: "perl", version: "1:5", sha256: B },
  ]);
  assert.throws(() => parsePackages("libc6 2.43-7\n"), /invalid line "libc6 2.43-7"/);
});

Deno.test("each package that is not the pinned one is named once, with both versions", () => {
  const pins = { kept: `1 ${A}`, moved: `1 ${A}`, gone: `3 ${A}` };
  const installed = parsePackages(`kept 1 ${A}\nmoved 2 ${B}\nnew 4 ${B}\n`);
  assert.deepEqual(differences(pins, installed), [
    "moved 2; qemubox was measured with 1",
    "new 4; qemubox was measured without new",
    "gone is not installed; qemubox was measured with 3",
  ]);
  assert.deepEqual(differences(pinsFor(installed), installed), []);
});

Deno.test("a package with the pinned version and other bytes is an error", () => {
  assert.throws(
    () => differences({ crun: `1 ${A}` }, parsePackages(`crun 1 ${B}\n`)),
    /Debian package crun 1 has SHA-256 b{64}, not a{64}/,
  );
});

Deno.test("both roots are pinned, with every package that their recipes name", () => {
  for (const { name, packages } of [TESTBED_ROOT, KERNEL_ROOT]) {
    const pins = pinsOf(name);
    for (const wanted of packages) assert.match(pins[wanted] ?? "", /^\S+ [0-9a-f]{64}$/, wanted);
  }
});
