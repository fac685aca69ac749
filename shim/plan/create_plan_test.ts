import assert from "node:assert/strict";
import { Code, RpcError } from "../../proto/mod.ts";
import { resolveConfig } from "../config/config.ts";
import { specOf } from "./container_plan.ts";
import { planCreate } from "./create_plan.ts";
import { SPEC_BYTES_MAX } from "./oci.ts";
import { exists, temporaryFolder } from "../testing/test_support.ts";
import type { CreateRequest } from "./create_request.ts";

const request: CreateRequest = {
  id: "c1",
  bundle: "/bundle",
  rootfs: [],
  stdin: "",
  stdout: "",
  stderr: "",
  terminal: false,
  checkpoint: "",
};

function refuses(work: () => unknown, code: Code, message: RegExp): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof RpcError, String(error));
    assert.equal(Code[error.code], Code[code], error.message);
    assert.match(error.message, message);
    return true;
  });
}

function configAt(stateDir: string) {
  return resolveConfig({
    file: JSON.stringify({ state_dir: stateDir, share_dir: `${stateDir}/no-share` }),
    environment: {},
    annotations: {},
  });
}

Deno.test("what is not supported is refused before the host is looked at", () => {
  const config = configAt("/proc/no-such-folder");
  const plan = (change: Partial<CreateRequest>, terminal = false) =>
    planCreate({ ...request, ...change }, { process: { terminal } }, config);
  refuses(() => plan({ terminal: true }), Code.InvalidArgument, /terminal is false in its/);
  refuses(() => plan({ terminal: false }, true), Code.InvalidArgument, /terminal is true in its/);
  refuses(
    () => plan({ checkpoint: "/c" }),
    Code.InvalidArgument,
    /no checkpoint: \/c is no folder/,
  );
});

Deno.test("a state folder that cannot be written is named, with what moves it", () => {
  const config = configAt("/proc/no-such-folder");
  refuses(
    () => planCreate(request, {}, config),
    Code.FailedPrecondition,
    /\/proc\/no-such-folder .*QEMUBOX_STATE_DIR/,
  );
});

Deno.test("looking whether the state folder can be written leaves nothing in it", () => {
  using folder = temporaryFolder();
  const state = `${folder.path}/state`;
  // Without kernel and initrd the plan fails later on.
  assert.throws(() => planCreate(request, {}, configAt(state)));
  assert.ok(exists(state));
  assert.deepEqual([...Deno.readDirSync(state)], []);
});

Deno.test("a specification is read from the bundle, or refused by its path", () => {
  using folder = temporaryFolder();
  const file = `${folder.path}/config.json`;
  refuses(() => specOf(folder.path), Code.InvalidArgument, /config\.json/);
  const bad: [string, RegExp][] = [
    ["{", /JSON/],
    ["[]", /config\.json is not a JSON object/],
    ["null", /config\.json is not a JSON object/],
    [`"${"x".repeat(SPEC_BYTES_MAX)}"`, /more than the limit/],
  ];
  for (const [text, message] of bad) {
    Deno.writeTextFileSync(file, text);
    refuses(() => specOf(folder.path), Code.InvalidArgument, message);
  }
  Deno.writeTextFileSync(file, '{"hostname":"box"}');
  assert.deepEqual(specOf(folder.path), { hostname: "box" });
});
