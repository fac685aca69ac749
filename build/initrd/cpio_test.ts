import assert from "node:assert/strict";
import fc from "fast-check";
import { isThere } from "../../base/mod.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

const ENTRIES: readonly CpioEntry[] = [
  { kind: "directory", path: "dev", mode: 0o755 },
  { kind: "character-device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
  { kind: "directory", path: "usr", mode: 0o755 },
  { kind: "directory", path: "usr/bin", mode: 0o755 },
  { kind: "link", path: "bin", target: "usr/bin" },
  { kind: "file", path: "init", mode: 0o755, content: bytes("#!/bin/sh\n") },
  { kind: "file", path: "usr/bin/odd", mode: 0o4711, content: bytes("12345") },
  { kind: "file", path: "usr/empty", mode: 0o644, content: new Uint8Array() },
];

interface Unpacked {
  readonly fields: number[];
  readonly data: Uint8Array;
}

/** Reads an archive like the kernel (init/initramfs.c). */
function unpack(archive: Uint8Array): Map<string, Unpacked> {
  const text = (from: number, to: number) => new TextDecoder().decode(archive.subarray(from, to));
  const found = new Map<string, Unpacked>();
  for (let at = 0;;) {
    assert.equal(text(at, at + 6), "070701");
    const fields = Array.from({ length: 13 }, (_, i) => {
      return parseInt(text(at + 6 + 8 * i, at + 14 + 8 * i), 16);
    });
    const nameAt = at + 110;
    const nameEnd = nameAt + fields[11]!;
    assert.equal(archive[nameEnd - 1], 0);
    const name = text(nameAt, nameEnd - 1);
    const dataAt = nameEnd + ((4 - (nameEnd % 4)) % 4);
    const dataEnd = dataAt + fields[6]!;
    if (name === "TRAILER!!!") {
      assert.ok(archive.subarray(dataEnd).every((byte) => byte === 0));
      return found;
    }
    found.set(name, { fields, data: archive.subarray(dataAt, dataEnd) });
    at = dataEnd + ((4 - (dataEnd % 4)) % 4);
  }
}

Deno.test("entries round-trip, sorted, owned by root, at time zero", () => {
  const found = unpack(writeCpio(ENTRIES));
  assert.deepEqual([...found.keys()], ENTRIES.map(({ path }) => path).sort());
  const mode = (path: string) => found.get(path)!.fields[1];
  assert.equal(mode("dev"), 0o040755);
  assert.equal(mode("dev/console"), 0o020600);
  assert.deepEqual(found.get("dev/console")!.fields.slice(9, 11), [5, 1]);
  assert.equal(mode("bin"), 0o120777);
  assert.deepEqual(found.get("bin")!.data, bytes("usr/bin"));
  assert.equal(mode("usr/bin/odd"), 0o104711);
  assert.deepEqual(found.get("usr/bin/odd")!.data, bytes("12345"));
  assert.equal(found.get("usr/empty")!.data.length, 0);
  for (const { fields } of found.values()) {
    assert.deepEqual([...fields.slice(2, 4), fields[5]], [0, 0, 0]);
  }
  assert.equal(new Set([...found.values()].map(({ fields }) => fields[0])).size, ENTRIES.length);
});

Deno.test("the archive is a whole number of blocks", () => {
  assert.equal(writeCpio(ENTRIES).length % 512, 0);
});

Deno.test("the order of the entries does not matter", () => {
  const once = writeCpio(ENTRIES);
  assert.deepEqual(writeCpio([...ENTRIES].reverse()), once);
  fc.assert(
    fc.property(fc.shuffledSubarray([...ENTRIES], { minLength: ENTRIES.length }), (shuffled) => {
      assert.deepEqual(writeCpio(shuffled), once);
    }),
    { numRuns: 50 },
  );
});

Deno.test("a changed byte, mode or link target changes the archive", () => {
  const once = writeCpio(ENTRIES);
  const changed = (path: string, change: Partial<CpioEntry>) =>
    writeCpio(ENTRIES.map((e) => e.path === path ? { ...e, ...change } as CpioEntry : e));
  assert.notDeepEqual(changed("init", { content: bytes("#!/bin/sH\n") }), once);
  assert.notDeepEqual(changed("init", { mode: 0o700 }), once);
  assert.notDeepEqual(changed("bin", { target: "usr/sbin" }), once);
});

Deno.test("paths that would not unpack in their place are rejected", () => {
  const file = (path: string): CpioEntry => ({
    kind: "file",
    path,
    mode: 0o644,
    content: bytes(""),
  });
  for (const path of ["", "/init", "a/../b", "./a", "a//b", "a/", "a\0b", "TRAILER!!!"]) {
    assert.throws(() => writeCpio([file(path)]), RangeError, JSON.stringify(path));
  }
  assert.throws(() => writeCpio([file("usr/bin/x")]), /has no entry for its directory/);
  assert.throws(() => writeCpio([file("x"), file("x")]), /occurs twice/);
  assert.throws(() => writeCpio([file("x".repeat(4096))]), /too long/);
});

Deno.test("property: any names and contents round-trip", () => {
  const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 })
    .filter((text) => !/[/\0]/.test(text) && ![".", "..", "TRAILER!!!"].includes(text))
    // A lone surrogate cannot be encoded in UTF-8.
    .filter((text) => text.isWellFormed());
  const files = fc.dictionary(name, fc.uint8Array({ maxLength: 40 }), { noNullPrototype: true });
  fc.assert(fc.property(files, (contents) => {
    const entries = Object.entries(contents).map(([path, content]): CpioEntry => ({
      kind: "file",
      path,
      mode: 0o644,
      content,
    }));
    const found = unpack(writeCpio(entries));
    assert.equal(found.size, entries.length);
    for (const [path, content] of Object.entries(contents)) {
      assert.deepEqual(Uint8Array.from(found.get(path)!.data), content);
    }
  }));
});

const CPIO = ["/usr/bin/cpio", "/bin/cpio"].find(isThere);

Deno.test({
  name: "GNU cpio unpacks the archive (skipped if cpio is not installed)",
  ignore: CPIO === undefined,
  fn: async () => {
    const directory = await Deno.makeTempDir();
    try {
      const entries = ENTRIES.filter(({ kind }) => kind !== "character-device"); // needs root
      await Deno.writeFile(`${directory}/archive`, writeCpio(entries));
      const { success, stderr } = await new Deno.Command(CPIO!, {
        args: ["--extract", "--quiet", "--no-preserve-owner", "--file", `${directory}/archive`],
        cwd: directory,
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      assert.equal(await Deno.readTextFile(`${directory}/init`), "#!/bin/sh\n");
      assert.equal(await Deno.readLink(`${directory}/bin`), "usr/bin");
      assert.equal((await Deno.stat(`${directory}/bin/odd`)).mode! & 0o777, 0o711);
      assert.equal((await Deno.stat(`${directory}/usr/empty`)).size, 0);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
