import assert from "node:assert/strict";
import type { DebianFiles } from "../debian_files.ts";
import { elf, LINKER } from "../testing/elf.ts";
import { rootEntries } from "./manifest.ts";

const LIBRARIES = "/usr/lib/x86_64-linux-gnu";

function root(changes: Record<string, Uint8Array | null> = {}): DebianFiles {
  const files: Record<string, Uint8Array | null> = {
    "/usr/bin/crun": elf(["libcap.so.2", "libc.so.6"], LINKER),
    "/usr/sbin/criu": elf(["libc.so.6"], LINKER),
    "/usr/bin/tar": elf(["libc.so.6"], LINKER),
    "/usr/bin/dash": elf(["libc.so.6"], LINKER),
    "/usr/bin/gzip": elf(["libc.so.6"], LINKER),
    [`${LIBRARIES}/libcap.so.2`]: elf(["libc.so.6"]),
    [`${LIBRARIES}/libc.so.6`]: elf(["ld-linux-x86-64.so.2"]),
    [`${LIBRARIES}/libm.so.6`]: elf(["libc.so.6"]),
    [`${LIBRARIES}/libgcc_s.so.1`]: elf(["libc.so.6"]),
    [`${LIBRARIES}/libcriu.so.2`]: elf(["libc.so.6"]),
    [`${LIBRARIES}/ld-linux-x86-64.so.2`]: elf([]),
    ...changes,
  };
  return { read: (path) => files[path] ?? null };
}

const VMINITD = elf(["libm.so.6"], LINKER);
const PARTS = {
  vminitd: VMINITD,
  codeCache: { name: "vminitd.cache", content: new Uint8Array(9) },
};

Deno.test("rootEntries has libraries of libraries once, and the linker at its path in programs", () => {
  const entries = rootEntries({ ...PARTS, root: root() });
  const names = entries.map(({ path }) => path).filter((path) => path.includes(".so")).sort();
  assert.deepEqual(names, [
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/libc.so.6",
    "usr/lib/x86_64-linux-gnu/libcap.so.2",
    "usr/lib/x86_64-linux-gnu/libcriu.so.2",
    "usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
    "usr/lib/x86_64-linux-gnu/libm.so.6",
    "usr/lib64/ld-linux-x86-64.so.2",
  ]);
});

Deno.test("directories come before their contents, and no path occurs twice", () => {
  const seen = new Set([""]);
  for (const { path } of rootEntries({ ...PARTS, root: root() })) {
    assert.ok(seen.has(path.slice(0, Math.max(0, path.lastIndexOf("/")))), path);
    assert.ok(!seen.has(path), path);
    seen.add(path);
  }
});

Deno.test("an error names the file that the root does not have", () => {
  const build = (changes: Record<string, Uint8Array | null>) => () =>
    rootEntries({ ...PARTS, root: root(changes) });
  assert.throws(build({ "/usr/bin/crun": null }), /\/usr\/bin\/crun is missing/);
  assert.throws(build({ "/usr/sbin/criu": null }), /\/usr\/sbin\/criu is missing/);
  assert.throws(
    build({ [`${LIBRARIES}/libcap.so.2`]: null }),
    /libcap.so.2, which usr\/bin\/crun needs/,
  );
});
