import assert from "node:assert/strict";
import { assertGolden } from "./testing/golden.ts";
import type { VmConfig } from "./config.ts";
import { kernelCommandLine } from "./kernel_command_line.ts";
import { SMALLEST } from "./testing/vm_config.ts";

const ONE: VmConfig = { ...SMALLEST, returnsMemory: false };

Deno.test("the kernel command lines match the golden file", () => {
  const lines = [
    kernelCommandLine({ ...ONE, accelerator: "kvm" }),
    kernelCommandLine({ ...ONE, accelerator: "kvm", tscKhz: 2_600_000 }),
    kernelCommandLine({ ...ONE, accelerator: "tcg", tscKhz: 2_600_000 }),
    kernelCommandLine({ ...ONE, accelerator: "tcg", kernelParameters: ["loglevel=7"] }),
    kernelCommandLine({ ...ONE, size: { ...ONE.size, vcpus: 2, vcpusMax: 4 } }),
    kernelCommandLine(SMALLEST),
  ];
  assertGolden("kernel_command_lines.txt", lines.join("\n") + "\n");
});

Deno.test("a command line that the kernel would truncate is refused", () => {
  const kernelParameters = Array.from({ length: 20 }, (_, index) => `p${index}=`.padEnd(100, "x"));
  assert.throws(() => kernelCommandLine({ ...ONE, accelerator: "kvm", kernelParameters }), {
    kind: "config",
  });
});
