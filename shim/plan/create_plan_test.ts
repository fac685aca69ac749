import assert from "node:assert/strict";
import { resolveConfig } from "../config/config.ts";
import { assertRefused } from "../testing/refused.ts";
import { exists, temporaryFolder } from "../testing/test_support.ts";
import { planCreate } from "./create_plan.ts";
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

function configAt(stateDir: string) {
  return resolveConfig({
    file: JSON.stringify({ state_dir: stateDir, share_dir: `${stateDir}/no-share` }),
    environment: {},
    annotations: {},
  });
}

Deno.test("an invalid request is refused before the host is checked", () => {
  const config = configAt("/proc/no-such-directory");
  const plan = (change: Partial<CreateRequest>, terminal = false) =>
    planCreate({ ...request, ...change }, { process: { terminal } }, config);
  assertRefused(
    () => plan({ terminal: true }),
    "invalid",
    /^process of config\.json: terminal is false in its specification and true in the request/,
  );
  assertRefused(
    () => plan({ terminal: false }, true),
    "invalid",
    /^process of config\.json: terminal is true in its specification and false in the request/,
  );
  assertRefused(
    () => plan({ checkpoint: "/c" }),
    "invalid",
    /^checkpoint \/c is not a directory$/,
  );
});

Deno.test("a state directory that cannot be written is refused with the setting that moves it", () => {
  const config = configAt("/proc/no-such-directory");
  assertRefused(
    () => planCreate(request, {}, config),
    "host",
    /^state directory \/proc\/no-such-directory cannot be written .*QEMUBOX_STATE_DIR$/,
  );
  assert.throws(() => planCreate(request, {}, config), {
    field: "state directory /proc/no-such-directory",
    fix: "make it writable or set QEMUBOX_STATE_DIR",
  });
});

Deno.test("the check for a writable state directory leaves nothing in it", () => {
  using directory = temporaryFolder();
  const state = `${directory.path}/state`;
  // Without kernel and initrd the plan fails later on.
  assert.throws(() => planCreate(request, {}, configAt(state)));
  assert.ok(exists(state));
  assert.deepEqual([...Deno.readDirSync(state)], []);
});

Deno.test("a bundle without a root file system is refused", () => {
  using directory = temporaryFolder();
  const bundle = { ...request, bundle: directory.path };
  assertRefused(
    () => planCreate(bundle, {}, configAt(`${directory.path}/state`)),
    "invalid",
    /^root file system: rootfs is not a directory$/,
  );
});
