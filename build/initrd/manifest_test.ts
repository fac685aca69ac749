import assert from "node:assert/strict";
import { elf, LINKER } from "../testing/elf.ts";
import { writeCpio } from "./cpio.ts";
import { initrdEntries } from "./manifest.ts";

const STAGE0 = Deno.readFileSync(new URL("init", import.meta.url));
const withBusybox = (busybox: Uint8Array | null) => ({
  read: (path: string) => path === "/usr/bin/busybox" ? busybox : null,
});

Deno.test("the initrd has the commands of stage 0", () => {
  const paths = new Set(initrdEntries(STAGE0, withBusybox(elf([]))).map(({ path }) => path));
  const builtIn = ["set", "echo"];
  const commands = new TextDecoder().decode(STAGE0).split("\n")
    .filter((line) => /^[a-z/]/.test(line))
    .map((line) => line.replace(/^exec /, "").split(" ")[0]!)
    .filter((command) => !builtIn.includes(command));
  assert.deepEqual([...new Set(commands)], ["mount", "switch_root"]);
  for (const command of [...commands, "sh"]) assert.ok(paths.has(`bin/${command}`), command);
});

Deno.test("the initrd has the mount points of stage 0, and the same bytes each time", () => {
  const entries = initrdEntries(STAGE0, withBusybox(elf([])));
  for (const path of ["dev", "root", "dev/console"]) {
    assert.ok(entries.some((entry) => entry.path === path), path);
  }
  assert.deepEqual(writeCpio(entries), writeCpio([...entries].reverse()));
});

Deno.test("a busybox that is missing or needs libraries is rejected", () => {
  assert.throws(() => initrdEntries(STAGE0, withBusybox(null)), /\/usr\/bin\/busybox is missing/);
  assert.throws(() => initrdEntries(STAGE0, withBusybox(elf([], LINKER))), /busybox is not static/);
});
