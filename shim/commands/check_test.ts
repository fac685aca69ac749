import assert from "node:assert/strict";
import { checkedLine } from "./check.ts";

Deno.test("a changed network is reported with the plugin's message", () => {
  const about = { network: "qemubox-net", ifname: "eth0" };
  assert.equal(
    checkedLine({ ...about, state: "changed", reason: "CNI plugin bridge …: no gateway" }),
    "eth0 on qemubox-net: changed: CNI plugin bridge …: no gateway",
  );
  assert.match(checkedLine({ ...about, state: "as added", reason: "" }), /as its plugins left it$/);
  assert.match(checkedLine({ ...about, state: "unchecked", reason: "" }), /disableCheck/);
});
