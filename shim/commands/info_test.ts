import assert from "node:assert/strict";
import { fromBinary, packAny, runcOptions, toBinary, types } from "../../proto/mod.ts";
import { create } from "../../proto/mod.ts";
import { RUNTIME_NAME, runtimeInfo } from "./info.ts";

Deno.test("-info names the runtime, what it does of the specification, and options it was given", () => {
  const info = fromBinary(types.RuntimeInfoSchema, runtimeInfo(new Uint8Array()));
  assert.equal(info.name, RUNTIME_NAME);
  assert.equal(info.options?.typeUrl, "containerd.runc.v1.Options");
  assert.equal(
    info.features?.typeUrl,
    "types.containerd.io/opencontainers/runtime-spec/1/features/Features",
  );
  const features = JSON.parse(new TextDecoder().decode(info.features!.value));
  assert.equal(features.ociVersionMin, "1.0.0");
  assert.deepEqual(features.hooks, []);
  assert.equal(features.linux.cgroup.v1, false);
  assert.equal(features.linux.capabilities.length, 41);
  assert.ok(features.linux.capabilities.includes("CAP_SYS_ADMIN"));
  assert.ok(!features.linux.namespaces.includes("network"));
  assert.equal(
    info.annotations["containerd.io/runtime-allow-mounts"],
    "erofs,format/*,mkdir/*",
  );

  const options = packAny(runcOptions.OptionsSchema, { systemdCgroup: true });
  const request = toBinary(
    types.RuntimeRequestSchema,
    create(types.RuntimeRequestSchema, { runtimePath: "/x", options }),
  );
  const understood = fromBinary(types.RuntimeInfoSchema, runtimeInfo(request));
  assert.deepEqual(understood.options, options);
});

Deno.test("options that are not known are refused by -info as well", () => {
  const request = create(types.RuntimeRequestSchema, {
    options: { typeUrl: "com.example.Options", value: new Uint8Array() },
  });
  assert.throws(
    () => runtimeInfo(toBinary(types.RuntimeRequestSchema, request)),
    /com\.example\.Options/,
  );
});
