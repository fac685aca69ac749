import assert from "node:assert/strict";

const root = Deno.uid() === 0;

Deno.test({
  name: `configureNetwork sets up interfaces as the host asks${root ? "" : " (skipped: not root)"}`,
  ignore: !root,
  async fn() {
    const program = new URL("../testing/network_child.ts", import.meta.url).pathname;
    const { code, stderr } = await new Deno.Command("unshare", {
      args: ["--net", "--", Deno.execPath(), "run", "--no-lock", "--allow-all", program],
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  },
});
