import assert from "node:assert/strict";
import { REPOSITORY } from "../../scripts/lib/paths.ts";
import { assertNothingLeft, snapshot, TREES } from "../lib/system_state.ts";
import { parseResult } from "./result.ts";

/** Rows beside the parts of the boot. */
const OTHERS = ["boot-cpu", "boot-first-rpc", "boot-cpu/floor-cpu"];

/** No time is judged here: machines are as busy as they are. */
Deno.test({
  name: "the benchmark gives well-formed rows, and leaves nothing",
  ignore: Deno.env.get("QEMUBOX_TESTBED") !== "1",
  fn: async () => {
    const before = await snapshot({ trees: TREES });
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--allow-all", `${REPOSITORY}/tests/bench/main.ts`],
        ...["--only", "floor,bare-deno,boot,shim-start,shim,network", "--runs", "1", "--json"],
      ],
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    assert.equal(code, 0, text.decode(stderr));
    const { rows } = parseResult(text.decode(stdout), "standard output");
    assert.deepEqual(rows.map(({ name }) => name), [
      "floor",
      "floor-cpu",
      "bare-deno",
      "bare-deno-cpu",
      "boot",
      "boot-cpu",
      "boot-qemu",
      "boot-kernel",
      "boot-stage0",
      "boot-deno",
      "boot-modules",
      "boot-vminitd",
      "boot-first-rpc",
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
      "boot/floor",
      "boot-cpu/floor-cpu",
      "bare-deno/floor",
      "boot/bare-deno",
      "first-byte/floor",
      "delete/floor",
      "shim-start/bare-start",
      "netns-out/net-out",
      "netns-in/net-in",
    ]);
    for (const { name, min, median, max } of rows) {
      assert(min > 0 && min <= max && median > 0, name);
    }
    const value = (name: string) => rows.find((row) => row.name === name)!.median;
    const parts = rows.filter(({ name }) => name.startsWith("boot-") && !OTHERS.includes(name));
    const sum = parts.reduce((sum, { median }) => sum + median, 0);
    assert(Math.abs(sum - value("boot")) < 1, "the parts of the boot are the boot");
    await assertNothingLeft(before);
  },
});
