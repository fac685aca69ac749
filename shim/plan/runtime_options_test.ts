import assert from "node:assert/strict";
import { AnySchema, create, packAny, runcOptions, runtimeOptions } from "../../proto/mod.ts";
import { assertRefused } from "../testing/refused.ts";
import { checkRuntimeOptions } from "./runtime_options.ts";

Deno.test("no options, and options that set nothing, are accepted", () => {
  assert.deepEqual(checkRuntimeOptions(undefined), []);
  assert.deepEqual(checkRuntimeOptions(create(AnySchema, {})), []);
  assert.deepEqual(checkRuntimeOptions(packAny(runcOptions.OptionsSchema, {})), []);
  assert.deepEqual(
    checkRuntimeOptions(packAny(runtimeOptions.OptionsSchema, { typeUrl: "x" })),
    [],
  );
});

Deno.test("options of runc are parsed, and each one that is set gives a line", () => {
  const options = packAny(runcOptions.OptionsSchema, { systemdCgroup: true, binaryName: "crun" });
  assert.deepEqual(checkRuntimeOptions(options), [
    "runtime option binaryName has no meaning for a container in a VM",
    "runtime option systemdCgroup has no meaning for a container in a VM",
  ]);
});

Deno.test("unknown types, malformed bytes and runtime settings are refused by name", () => {
  const check = (typeUrl: string, value: Uint8Array = new Uint8Array()) => () =>
    checkRuntimeOptions(create(AnySchema, { typeUrl, value }));
  assert.equal(
    assertRefused(check("com.example.Options"), "invalid", /are not known/),
    'runtime options of type "com.example.Options" are not known: ' +
      "use containerd.runc.v1.Options or runtimeoptions.v1.Options",
  );
  assertRefused(
    check("containerd.runc.v1.Options", Uint8Array.of(0xff)),
    "invalid",
    /^options of type containerd\.runc\.v1\.Options are malformed: invalid containerd\.runc/,
  );
  const generic = packAny(runtimeOptions.OptionsSchema, { configPath: "/etc/x.toml" });
  const configured = check(generic.typeUrl, generic.value);
  assertRefused(configured, "invalid", /config_path \/etc\/x\.toml is not supported: settings are/);
  assert.throws(configured, {
    field: "runtime option config_path /etc/x.toml",
    fix: "settings are read from /etc/qemubox/config.json",
  });
});
