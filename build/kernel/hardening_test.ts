/** The fragment has what hardening.ts requires, and weaknesses names what a build must refuse. */

import assert from "node:assert/strict";
import { type KernelConfig, parseConfig } from "./config.ts";
import { FORBIDDEN, REQUIRED, weaknesses } from "./hardening.ts";

const FRAGMENT = parseConfig(Deno.readTextFileSync(new URL("qemubox.config", import.meta.url)));

/** The fragment with changes; kconfig leaves options out that are off. */
function changed(changes: Record<string, string>): KernelConfig {
  return new Map([...FRAGMENT, ...Object.entries(changes)]);
}

Deno.test("the fragment sets every required option, and no forbidden one", () => {
  assert.deepEqual(weaknesses(FRAGMENT), []);
});

Deno.test("weaknesses names required options that are off, absent or of another value", () => {
  const config = new Map(changed({
    CONFIG_STRICT_KERNEL_RWX: "n",
    CONFIG_DEFAULT_MMAP_MIN_ADDR: "4096",
  }));
  config.delete("CONFIG_SECURITY_LANDLOCK");
  assert.deepEqual(weaknesses(config), [
    "CONFIG_STRICT_KERNEL_RWX: must be y, is n",
    "CONFIG_DEFAULT_MMAP_MIN_ADDR: must be 65536, is 4096",
    "CONFIG_SECURITY_LANDLOCK: must be y, is n",
  ]);
});

Deno.test("weaknesses names forbidden options that a default or a dependency has switched on", () => {
  const config = changed({ CONFIG_KEXEC: "y", CONFIG_DEVMEM: "y", CONFIG_MODULES: "m" });
  assert.deepEqual(weaknesses(config), [
    "CONFIG_MODULES: must be off, is m",
    "CONFIG_KEXEC: must be off, is y",
    "CONFIG_DEVMEM: must be off, is y",
  ]);
});

Deno.test("no option is both required and forbidden, and none is listed twice", () => {
  const all = [...Object.keys(REQUIRED), ...FORBIDDEN];
  assert.equal(new Set(all).size, all.length);
});
