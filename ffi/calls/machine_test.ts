import assert from "node:assert/strict";
import { system } from "../real_system.ts";

Deno.test("clocks return nanoseconds", () => {
  const now = Number(system.clock("realtime") / 1_000_000n);
  assert(Math.abs(now - Date.now()) < 60_000);
  const first = system.clock("monotonic");
  assert(system.clock("monotonic") >= first);
  assert(system.clock("boottime") >= first);
});

Deno.test("sync returns", () => system.sync());

const userNamespaces = canMakeUserNamespace();

function canMakeUserNamespace(): boolean {
  try {
    return new Deno.Command("unshare", { args: ["-Ur", "true"] }).outputSync().success;
  } catch {
    return false;
  }
}

Deno.test({
  name: `machine-wide calls fail with EPERM in a user namespace${
    userNamespaces ? "" : " (skipped: unshare -Ur does not work here)"
  }`,
  ignore: !userNamespaces,
  async fn() {
    const program = new URL("../testing/unprivileged_child.ts", import.meta.url).pathname;
    const outside = await Deno.readLink("/proc/self/ns/user");
    const { code, stderr } = await new Deno.Command("unshare", {
      args: ["-Ur", Deno.execPath(), "run", "--no-lock", "--allow-all", program, outside],
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  },
});
