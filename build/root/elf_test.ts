import assert from "node:assert/strict";
import fc from "fast-check";
import { ElfError, elfNeeds } from "./elf.ts";

/** Returns a file with PT_INTERP, PT_DYNAMIC, and one PT_LOAD of everything at 0x400000. */
function sample(): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(512);
  const view = new DataView(file.buffer);
  const strings = "\0libc.so.6\0libcap.so.2\0/opt/a:$ORIGIN/b\0";
  const stringsAt = 400;
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 3, true);
  segment(0, 1, 0, 0x400000, file.length);
  segment(1, 3, 240, 0x4000f0, 28);
  segment(2, 2, 272, 0x400110, 96);
  file.set(new TextEncoder().encode("/lib64/ld-linux-x86-64.so.2\0"), 240);
  file.set(new TextEncoder().encode(strings), stringsAt);
  const tags = [[1, 1], [5, 0x400000 + stringsAt], [1, 11], [29, 23], [0, 0], [1, 9999]];
  tags.forEach(([tag, value], index) => {
    view.setBigUint64(272 + 16 * index, BigInt(tag!), true);
    view.setBigUint64(280 + 16 * index, BigInt(value!), true);
  });
  return file;

  function segment(index: number, type: number, offset: number, address: number, bytes: number) {
    const at = 64 + 56 * index;
    view.setUint32(at, type, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, BigInt(address), true);
    view.setBigUint64(at + 32, BigInt(bytes), true);
  }
}

Deno.test("interpreter, libraries and run path are read, up to DT_NULL", () => {
  assert.deepEqual(elfNeeds(sample()), {
    interpreter: "/lib64/ld-linux-x86-64.so.2",
    libraries: ["libc.so.6", "libcap.so.2"],
    runPath: ["/opt/a", "$ORIGIN/b"],
  });
});

Deno.test("a file that is not 64-bit little-endian ELF is rejected", () => {
  assert.throws(() => elfNeeds(new TextEncoder().encode("#!/bin/sh\n".repeat(9))), ElfError);
  assert.throws(() => elfNeeds(new Uint8Array()), ElfError);
  for (const [at, value] of [[4, 1], [5, 2]] as const) {
    const file = sample();
    file[at] = value;
    assert.throws(() => elfNeeds(file), /64-bit little-endian/);
  }
});

Deno.test("the requirements of a real program are read: our own Deno", () => {
  const needs = elfNeeds(Deno.readFileSync(Deno.execPath()));
  assert.match(needs.interpreter ?? "", /ld-linux-x86-64\.so\.2$/);
  assert.ok(needs.libraries.includes("libc.so.6"));
});

Deno.test("property: a damaged file gives requirements or an ElfError", () => {
  const damage = fc.array(fc.tuple(fc.nat(511), fc.nat(255)), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(damage, fc.nat(512), (changes, length) => {
      const file = sample();
      for (const [at, value] of changes) file[at] = value;
      for (const bytes of [file, file.subarray(0, length)]) {
        try {
          elfNeeds(bytes);
        } catch (error) {
          assert.ok(error instanceof ElfError, String(error));
        }
      }
    }),
    { numRuns: 2000 },
  );
});
