import assert from "node:assert/strict";

const missing = Deno.uid() !== 0 ? "not root" : tunDevice() ? "" : "no /dev/net/tun";

Deno.test({
  name: `the kernel accepts the requests${missing === "" ? "" : ` (skipped: ${missing})`}`,
  ignore: missing !== "",
  async fn() {
    const program = new URL("../testing/netlink_child.ts", import.meta.url).pathname;
    const { code, stderr } = await new Deno.Command("unshare", {
      args: ["--net", "--", Deno.execPath(), "run", "--no-lock", "--allow-all", program],
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  },
});

function tunDevice(): boolean {
  try {
    return Deno.statSync("/dev/net/tun").isCharDevice === true;
  } catch {
    return false;
  }
}
