import assert from "node:assert/strict";
import fc from "fast-check";
import { fileSha256 } from "./cache.ts";
import { denortBytes, denortSha256, extractDenort, TRAILER_BYTES } from "./denort.ts";

function trailer(section: bigint, magic = 0x501e): Uint8Array {
  const bytes = new Uint8Array(TRAILER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint32(4, 0xdeadbeef, true);
  view.setBigUint64(8, section, true);
  return bytes;
}

Deno.test("denort is a program without its section, of which the trailer is the end", () => {
  assert.equal(denortBytes(1000, trailer(100n)), 900);
  assert.equal(denortBytes(16, trailer(16n)), 0);
  assert.throws(() => denortBytes(1000, trailer(100n, 7)), /program not compiled by Deno/);
  assert.throws(() => denortBytes(1000, trailer(1001n)), /program is truncated/);
  assert.throws(() => denortBytes(1000, trailer(15n)), /shorter than its trailer/);
  assert.throws(() => denortBytes(1000, trailer(2n ** 63n)), /program is truncated/);
  assert.throws(() => denortBytes(1000, new Uint8Array(8)), RangeError);
});

Deno.test("property: a hostile trailer yields a length within the file or a RangeError", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: TRAILER_BYTES, maxLength: TRAILER_BYTES }),
      fc.nat(),
      fc.boolean(),
      (bytes, size, genuine) => {
        if (genuine) bytes.set([0x1e, 0x50, 0, 0]);
        try {
          const length = denortBytes(size, bytes);
          assert.ok(length >= 0 && length <= size);
        } catch (error) {
          assert.ok(error instanceof RangeError);
        }
      },
    ),
  );
});

Deno.test("extractDenort writes the runtime of a program, executable", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const runtime = new TextEncoder().encode("\x7fELF runtime");
    const section = new TextEncoder().encode("d3n0 section");
    const program = new Uint8Array([
      ...runtime,
      ...section,
      ...trailer(BigInt(section.length + 16)),
    ]);
    await Deno.writeFile(`${directory}/program`, program);
    await extractDenort(`${directory}/program`, `${directory}/denort`);
    assert.deepEqual(await Deno.readFile(`${directory}/denort`), runtime);
    assert.equal((await Deno.stat(`${directory}/denort`)).mode! & 0o777, 0o755);
    assert.equal(
      await denortSha256(`${directory}/program`),
      await fileSha256(`${directory}/denort`),
    );
    await Deno.writeFile(`${directory}/short`, new Uint8Array(3));
    await assert.rejects(extractDenort(`${directory}/short`, `${directory}/none`), RangeError);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
