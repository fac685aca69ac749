import assert from "node:assert/strict";
import { SETTINGS } from "../shim/config/settings.ts";
import { configurationPage, PAGE } from "./generate_configuration.ts";

Deno.test("docs/CONFIGURATION.md is generated from the table of settings", async () => {
  assert.equal(
    Deno.readTextFileSync(PAGE),
    await configurationPage(),
    "run `scripts/deno run -A scripts/generate_configuration.ts`",
  );
});

Deno.test("each setting has a row with its names, values and default", async () => {
  const rows = (await configurationPage()).split("\n").filter((line) => line.startsWith("| "));
  const row = (text: string) => rows.find((line) => line.includes(`\`${text}\``)) ?? "";
  for (const key of Object.keys(SETTINGS)) {
    assert.notEqual(row(key) || row(`io.qemubox.${key.replaceAll("_", "-")}`), "", key);
  }
  assert.match(
    row("accelerator"),
    /QEMUBOX_ACCELERATOR`, `io\.qemubox\.accelerator` .*`tcg`.*`auto`/,
  );
  assert.match(row("io.qemubox.port-mappings"), /\[\/tcp\\\|udp\\\|sctp\]/);
});
