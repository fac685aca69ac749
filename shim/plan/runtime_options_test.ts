import assert from "node:assert/strict";
import {
  AnySchema,
  Code,
  create,
  packAny,
  RpcError,
  runcOptions,
  runtimeOptions,
} from "../../proto/mod.ts";
import { checkRuntimeOptions } from "./runtime_options.ts";

function refusal(typeUrl: string, value: Uint8Array = new Uint8Array()): string {
  try {
    checkRuntimeOptions(create(AnySchema, { typeUrl, value }));
  } catch (error) {
    assert.ok(error instanceof RpcError && error.code === Code.InvalidArgument, String(error));
    return error.message;
  }
  return "not refused";
}

Deno.test("no options, and options that say nothing, are fine", () => {
  assert.deepEqual(checkRuntimeOptions(undefined), []);
  assert.deepEqual(checkRuntimeOptions(create(AnySchema, {})), []);
  assert.deepEqual(checkRuntimeOptions(packAny(runcOptions.OptionsSchema, {})), []);
  assert.deepEqual(
    checkRuntimeOptions(packAny(runtimeOptions.OptionsSchema, { typeUrl: "x" })),
    [],
  );
});

Deno.test("runc's options are parsed, and named where they mean nothing", () => {
  const options = packAny(runcOptions.OptionsSchema, { systemdCgroup: true, binaryName: "crun" });
  assert.deepEqual(checkRuntimeOptions(options), [
    "runtime option binaryName has no meaning for a container in a VM",
    "runtime option systemdCgroup has no meaning for a container in a VM",
  ]);
});

Deno.test("what is not known is refused by name", () => {
  assert.match(
    refusal("com.example.Options"),
    /type "com\.example\.Options" are not known; known are/,
  );
  assert.match(
    refusal("containerd.runc.v1.Options", Uint8Array.of(0xff)),
    /invalid containerd\.runc/,
  );
  const generic = packAny(runtimeOptions.OptionsSchema, { configPath: "/etc/x.toml" });
  assert.match(refusal(generic.typeUrl, generic.value), /config_path \/etc\/x\.toml: settings are/);
});
