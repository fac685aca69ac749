import assert from "node:assert/strict";
import { RefusedError } from "../base/refused_error.ts";
import { ID_MAPS, requireMappedIds } from "./mapped_ids.ts";

const DEFAULT = { first: 1_879_048_192, last: 1_879_113_727 };
/** Of a process in no user namespace but the host's. */
const ALL = "         0          0 4294967295\n";

function refusal(range: typeof DEFAULT, uids: string, gids: string): string | null {
  try {
    requireMappedIds(range, (path) => path === ID_MAPS["user ids"] ? uids : gids);
    return null;
  } catch (error) {
    assert(error instanceof RefusedError && error.kind === "host");
    return error.message;
  }
}

Deno.test("user_ids are accepted where all of them are mapped", () => {
  assert.equal(refusal(DEFAULT, ALL, ALL), null);
  requireMappedIds({ first: Deno.uid()!, last: Deno.uid()! });
  const two = "0 100000 1000\n2000 102000 1\n1000 101000 1000\n";
  assert.equal(refusal({ first: 10, last: 2000 }, two, two), null);
});

Deno.test("unmapped user_ids are refused with the range, the map and the fix", () => {
  assert.equal(
    refusal(DEFAULT, "0 100000 65536\n", ALL),
    "setting user_ids = 1879048192-1879113727 has user ids that are not mapped in the shim's " +
      "user namespace (/proc/self/uid_map has 0-65535): set user_ids (QEMUBOX_USER_IDS) to " +
      "mapped ids that nothing else uses, or map more of them",
  );
  const ends = { first: 60_000, last: 65_536 };
  assert.match(refusal(ends, ALL, "0 100000 65536\n")!, /group ids .*gid_map has 0-65535\)/);
  assert.match(refusal(ends, "65000 1 9999\n0 100000 60001\n", ALL)!, /has 0-60000, 65000-74998\)/);
  assert.match(refusal(ends, "", ALL)!, /uid_map has none/);
});

Deno.test("a real user namespace that maps only root refuses the default", async () => {
  const script = `import { requireMappedIds } from "${import.meta.resolve("./mapped_ids.ts")}";
    requireMappedIds(${JSON.stringify(DEFAULT)});`;
  const { code, stderr } = await new Deno.Command("unshare", {
    args: ["--user", "--map-root-user", Deno.execPath(), "eval", script],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stderr);
  assert.equal(code, 1);
  // Where user namespaces are switched off, unshare(1) says so.
  if (!/^unshare: /.test(text)) assert.match(text, /uid_map has 0-0\)/);
});
