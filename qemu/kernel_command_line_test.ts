import assert from "node:assert/strict";
import { assertGolden } from "./golden_testing.ts";
import { kernelCommandLine } from "./kernel_command_line.ts";

Deno.test("the kernel command lines are as they were", () => {
  const lines = [
    kernelCommandLine({ accelerator: "kvm" }),
    kernelCommandLine({ accelerator: "kvm", tscKhz: 2_600_000 }),
    kernelCommandLine({ accelerator: "tcg", tscKhz: 2_600_000 }),
    kernelCommandLine({ accelerator: "tcg", kernelParameters: ["loglevel=7"] }),
  ];
  assertGolden("kernel_command_lines.txt", lines.join("\n") + "\n");
});

Deno.test("a command line that the kernel would cut is refused", () => {
  const kernelParameters = Array.from({ length: 20 }, (_, index) => `p${index}=`.padEnd(100, "x"));
  assert.throws(() => kernelCommandLine({ accelerator: "kvm", kernelParameters }), {
    kind: "config",
  });
});
