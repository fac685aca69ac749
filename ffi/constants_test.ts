import assert from "node:assert/strict";
import { REBOOT } from "./calls/machine.ts";
import { CLONE, MNT, MS, O, PRCTL, SIG, VMADDR } from "./constants.ts";
import { compiler, evaluateInC } from "./testing/c.ts";

const TABLES: [prefix: string, table: Record<string, number>][] = [
  ["O_", O],
  ["MS_", MS],
  ["CLONE_", CLONE],
  ["SIG", SIG],
  ["PR_", PRCTL],
  ["VMADDR_", VMADDR],
];
/** C names that are not prefix and key. */
const NAMES: Record<string, string> = { "MNT_NOFOLLOW": "UMOUNT_NOFOLLOW" };
/** Constants of newer kernels, which older glibc lacks. */
const UNKNOWN_TO_GLIBC = new Set(["MS_NOSYMFOLLOW", "MS_LAZYTIME"]);

Deno.test({
  name: `constants match the C compiler's${compiler ? "" : " (skipped: no C compiler)"}`,
  ignore: compiler === undefined,
  async fn() {
    const asked = [...TABLES, ["MNT_", MNT] as const].flatMap(([prefix, table]) =>
      Object.entries(table)
        .map(([key, value]) => ({ name: NAMES[prefix + key] ?? prefix + key, value }))
    ).filter(({ name }) => !UNKNOWN_TO_GLIBC.has(name));
    const reboot = [
      { name: "RB_POWER_OFF", value: REBOOT["power-off"] },
      { name: "RB_AUTOBOOT", value: REBOOT["restart"] },
      { name: "RB_HALT_SYSTEM", value: REBOOT["halt"] },
    ];
    const all = [...asked, ...reboot];
    const actual = await evaluateInC(all.map(({ name }) => name));
    // Flags may be signed in C: compare the 32 bits.
    all.forEach(({ name, value }, index) => assert.equal(value | 0, actual[index]! | 0, name));
  },
});
