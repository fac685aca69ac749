import assert from "node:assert/strict";
import { rootEntries, type RootReader } from "./manifest.ts";

/** An ELF file that needs `libraries`; dynamic if `interpreter` is given. */
function elf(libraries: readonly string[], interpreter: string | null = null): Uint8Array {
  const strings = `\0${[...libraries, interpreter ?? ""].join("\0")}\0`;
  const file = new Uint8Array(1024);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, interpreter === null ? 2 : 3, true);
  const stringsAt = 700;
  file.set(new TextEncoder().encode(strings), stringsAt);
  const segment = (index: number, type: number, offset: number, bytes: number) => {
    const at = 64 + 56 * index;
    view.setUint32(at, type, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, BigInt(offset), true);
    view.setBigUint64(at + 32, BigInt(bytes), true);
  };
  const place = (text: string) => strings.indexOf(`\0${text}\0`) + 1;
  const tags = [[5, stringsAt], ...libraries.map((name) => [1, place(name)])];
  tags.forEach(([tag, value], index) => {
    view.setBigUint64(300 + 16 * index, BigInt(tag!), true);
    view.setBigUint64(308 + 16 * index, BigInt(value!), true);
  });
  segment(0, 1, 0, file.length);
  segment(1, 2, 300, 16 * (tags.length + 1));
  if (interpreter !== null) segment(2, 3, stringsAt + place(interpreter), interpreter.length + 1);
  return file;
}

const LINKER = "/lib64/ld-linux-x86-64.so.2";
const LIBRARIES = "/usr/lib/x86_64-linux-gnu";

function root(changes: Record<string, Uint8Array | null> = {}): RootReader {
  const files: Record<string, Uint8Array | null> = {
    "/usr/bin/busybox": elf([]),
    "/usr/bin/crun": elf(["libcap.so.2", "libc.so.6"], LINKER),
    [`${LIBRARIES}/libcap.so.2`]: elf(["libc.so.6"]),
    [`${LIBRARIES}/libc.so.6`]: elf(["ld-linux-x86-64.so.2"]),
    [`${LIBRARIES}/libm.so.6`]: elf(["libc.so.6"]),
    [`${LIBRARIES}/libgcc_s.so.1`]: elf(["libc.so.6"]),
    [`${LIBRARIES}/ld-linux-x86-64.so.2`]: elf([]),
    ...changes,
  };
  return { read: (path) => files[path] ?? null };
}

const STAGE0 = new TextEncoder().encode("#!/bin/sh\n");
const VMINITD = elf(["libm.so.6"], LINKER);

Deno.test("libraries of libraries come along, each once, and the linker where programs name it", () => {
  const entries = rootEntries({ stage0: STAGE0, vminitd: VMINITD, root: root() });
  const names = entries.map(({ path }) => path).filter((path) => path.includes(".so")).sort();
  assert.deepEqual(names, [
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/libc.so.6",
    "usr/lib/x86_64-linux-gnu/libcap.so.2",
    "usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
    "usr/lib/x86_64-linux-gnu/libm.so.6",
    "usr/lib64/ld-linux-x86-64.so.2",
  ]);
});

Deno.test("folders come before what lies in them, and no path is there twice", () => {
  const seen = new Set([""]);
  for (const { path } of rootEntries({ stage0: STAGE0, vminitd: VMINITD, root: root() })) {
    assert.ok(seen.has(path.slice(0, Math.max(0, path.lastIndexOf("/")))), path);
    assert.ok(!seen.has(path), path);
    seen.add(path);
  }
});

Deno.test("stage 0 finds what it calls", () => {
  const text = Deno.readTextFileSync(new URL("init", import.meta.url));
  const paths = new Set(
    rootEntries({ stage0: STAGE0, vminitd: VMINITD, root: root() }).map(({ path }) => path),
  );
  const builtIn = ["set", "echo"];
  const commands = text.split("\n").filter((line) => /^[a-z/]/.test(line))
    .map((line) => line.replace(/^exec /, "").split(" ")[0]!)
    .filter((command) => !builtIn.includes(command));
  assert.deepEqual(commands, ["mount", "/sbin/vminitd"]);
  for (const command of commands) {
    const place = command.startsWith("/") ? `usr${command}` : `usr/bin/${command}`;
    assert.ok(paths.has(place), place);
  }
});

Deno.test("what is missing in the root is named", () => {
  const build = (changes: Record<string, Uint8Array | null>) => () =>
    rootEntries({ stage0: STAGE0, vminitd: VMINITD, root: root(changes) });
  assert.throws(build({ "/usr/bin/crun": null }), /\/usr\/bin\/crun is missing/);
  assert.throws(build({ [`${LIBRARIES}/libcap.so.2`]: null }), /libcap.so.2, which crun needs/);
  assert.throws(build({ "/usr/bin/busybox": elf([], LINKER) }), /busybox is not static/);
});
