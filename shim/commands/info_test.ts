import assert from "node:assert/strict";
import { BUILD, VERSION } from "../../base/mod.ts";
import { fromBinary, packAny, runcOptions, toBinary, types } from "../../proto/mod.ts";
import { create } from "../../proto/mod.ts";
import { HOST_HOOKS } from "../plan/host_hooks.ts";
import { RUNTIME_NAME, runtimeInfo, versionText } from "./info.ts";

Deno.test("-v prints version and commit of the build, and -info carries both", () => {
  const { version } = fromBinary(types.RuntimeInfoSchema, runtimeInfo(new Uint8Array()));
  assert.equal(`${version!.version} (${version!.revision})`, BUILD);
  assert.match(
    versionText(),
    new RegExp(
      `^containerd-shim-qemubox-v1:\\n +Version: +${
        RegExp.escape(VERSION)
      }\\n +Revision: +source\\n`,
    ),
  );
});

Deno.test("-info lists the hooks that the shim runs, and no others", () => {
  const { features } = fromBinary(types.RuntimeInfoSchema, runtimeInfo(new Uint8Array()));
  const { hooks } = JSON.parse(new TextDecoder().decode(features!.value));
  assert.deepEqual(hooks, ["prestart", "createRuntime", "poststop"]);
  assert.deepEqual(hooks, [...HOST_HOOKS.create, ...HOST_HOOKS.delete]);
});

Deno.test("-info reports the runtime's name and features, and the options of its request", () => {
  const info = fromBinary(types.RuntimeInfoSchema, runtimeInfo(new Uint8Array()));
  assert.equal(info.name, RUNTIME_NAME);
  assert.equal(info.options?.typeUrl, "containerd.runc.v1.Options");
  assert.equal(
    info.features?.typeUrl,
    "types.containerd.io/opencontainers/runtime-spec/1/features/Features",
  );
  const features = JSON.parse(new TextDecoder().decode(info.features!.value));
  assert.equal(features.ociVersionMin, "1.0.0");
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

Deno.test("-info refuses runtime options of an unknown type", () => {
  const request = create(types.RuntimeRequestSchema, {
    options: { typeUrl: "com.example.Options", value: new Uint8Array() },
  });
  assert.throws(
    () => runtimeInfo(toBinary(types.RuntimeRequestSchema, request)),
    /com\.example\.Options/,
  );
});
