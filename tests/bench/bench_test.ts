import assert from "node:assert/strict";
import { REPOSITORY } from "../../scripts/lib/paths.ts";
import { IN_TESTBED } from "../lib/environment.ts";
import { assertNothingLeft, snapshot, TREES } from "../lib/system_state.ts";
import { PARTS } from "./boot_parts.ts";
import { parseResult } from "./result.ts";

/** Rows that are not parts of the boot. */
const OTHERS = ["boot-cpu", "boot-first-rpc", "boot-cpu/floor-cpu"];

/** Rows of the measures below, in order. */
const ROWS = [
  "floor",
  "floor-cpu",
  "bare-deno",
  "bare-deno-cpu",
  "boot",
  "boot-cpu",
  ...PARTS,
  "shim-start",
  "bare-start",
  "shim-private",
  "create",
  "first-byte",
  "delete",
  "net-out",
  "net-in",
  "netns-out",
  "netns-in",
  "read-layer-cold",
  "read-layer-warm",
  "walk-layer-cold",
  "walk-layer-warm",
  "read-layer-file-cold",
  "read-layer-file-warm",
  "walk-layer-file-cold",
  "walk-layer-file-warm",
  "read-volume-cold",
  "read-volume-warm",
  "walk-volume-cold",
  "walk-volume-warm",
  "read-host-cold",
  "read-host-warm",
  "walk-host-warm",
  "boot/floor",
  "boot-cpu/floor-cpu",
  "bare-deno/floor",
  "boot/bare-deno",
  "first-byte/floor",
  "delete/floor",
  "shim-start/bare-start",
  "netns-out/net-out",
  "netns-in/net-in",
  "read-layer-cold/read-host-cold",
  "read-layer-warm/read-host-warm",
  "read-layer-file-cold/read-host-cold",
  "read-layer-file-warm/read-host-warm",
  "read-volume-cold/read-host-cold",
  "read-volume-warm/read-host-warm",
  "walk-layer-cold/walk-host-warm",
  "walk-layer-warm/walk-host-warm",
  "walk-layer-file-cold/walk-host-warm",
  "walk-layer-file-warm/walk-host-warm",
  "walk-volume-cold/walk-host-warm",
  "walk-volume-warm/walk-host-warm",
];

/** Judges no times, since machines are more or less busy. */
Deno.test({
  name: "the benchmark prints well-formed rows and leaves nothing",
  ignore: !IN_TESTBED,
  fn: async () => {
    const before = await snapshot({ trees: TREES });
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--allow-all", `${REPOSITORY}/tests/bench/main.ts`],
        ...[
          "--only",
          "floor,bare-deno,boot,shim-start,shim,network,storage",
          "--runs",
          "1",
          "--json",
        ],
      ],
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    assert.equal(code, 0, text.decode(stderr));
    const { rows } = parseResult(text.decode(stdout), "standard output");
    assert.deepEqual(rows.map(({ name }) => name), ROWS);
    for (const { name, min, median, max } of rows) {
      assert(min > 0 && min <= max && median > 0, name);
    }
    const value = (name: string) => rows.find((row) => row.name === name)!.median;
    const parts = rows.filter(({ name }) => name.startsWith("boot-") && !OTHERS.includes(name));
    const sum = parts.reduce((sum, { median }) => sum + median, 0);
    assert(Math.abs(sum - value("boot")) < 1, "the parts of the boot do not add up to the boot");
    await assertNothingLeft(before);
  },
});
