import assert from "node:assert/strict";
import fc from "fast-check";
import { bootstrap, create, fromBinary, toBinary, types, unpackAny } from "../../proto/mod.ts";
import { bootstrapAnswer, readBootstrap } from "./bootstrap.ts";
import type { Flags } from "./cli.ts";

const flags: Flags = {
  namespace: "default",
  id: "c1",
  address: "/run/containerd/containerd.sock",
  publishBinary: "",
  bundle: "",
  socket: "",
  debug: false,
};

function params(init: Partial<bootstrap.BootstrapParams>): Uint8Array {
  const whole = { instanceId: "c1", namespace: "default", ...init };
  return toBinary(
    bootstrap.BootstrapParamsSchema,
    create(bootstrap.BootstrapParamsSchema, whole as never),
  );
}

Deno.test("no input, or runtime options, of containerd up to 2.2 ask for JSON", () => {
  const expected = { protocol: "json", debug: false, socketDir: null };
  assert.deepEqual(readBootstrap(new Uint8Array(), flags), expected);
  const options = new TextEncoder().encode("\n\x12runtimeoptions.v1.Options");
  assert.deepEqual(readBootstrap(options, flags), expected);
  assert.equal(readBootstrap(options, { ...flags, debug: true }).debug, true);
});

Deno.test("parameters of containerd since 2.3, with id and namespace, ask for protobuf", () => {
  assert.deepEqual(readBootstrap(params({ socketDir: "/run/s" }), flags), {
    protocol: "protobuf",
    debug: false,
    socketDir: "/run/s",
  });
  assert.equal(readBootstrap(params({}), flags).socketDir, null);
});

Deno.test("a log level of debug or below means debug, as the flag does", () => {
  const { LogLevel } = bootstrap;
  const debug = (logLevel: bootstrap.LogLevel, flag = false) =>
    readBootstrap(params({ logLevel }), { ...flags, debug: flag }).debug;
  assert.deepEqual(
    [LogLevel.TRACE, LogLevel.DEBUG, LogLevel.INFO, LogLevel.WARN].map((level) => debug(level)),
    [true, true, false, false],
  );
  assert.equal(debug(LogLevel.ERROR, true), true);
});

Deno.test("parameters of another task ask for JSON", () => {
  assert.equal(readBootstrap(params({ instanceId: "c2" }), flags).protocol, "json");
  assert.equal(readBootstrap(params({ namespace: "k8s.io" }), flags).protocol, "json");
});

Deno.test("no input throws, and unknown input asks for JSON", () => {
  const valid = params({ socketDir: "/run/s" });
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 256 }),
    // Truncated and changed messages reach more of the parser's edge cases than noise.
    fc.tuple(fc.nat(valid.length), fc.uint8Array({ maxLength: 8 }))
      .map(([at, noise]) => Uint8Array.of(...valid.subarray(0, at), ...noise)),
  );
  fc.assert(fc.property(anything, (stdin) => {
    const input = readBootstrap(stdin, flags);
    if (input.protocol === "json") {
      assert.deepEqual(input, { protocol: "json", debug: false, socketDir: null });
    } else {
      const { instanceId, namespace } = fromBinary(bootstrap.BootstrapParamsSchema, stdin);
      assert.deepEqual([instanceId, namespace], ["c1", "default"]);
    }
  }));
});

Deno.test("both answers have version, protocol and address", () => {
  const json = JSON.parse(new TextDecoder().decode(bootstrapAnswer("json", "/run/s/1")));
  assert.deepEqual(json, { version: 3, address: "unix:///run/s/1", protocol: "ttrpc" });
  const { version, address, protocol, extensions } = fromBinary(
    bootstrap.BootstrapResultSchema,
    bootstrapAnswer("protobuf", "/run/s/1"),
  );
  assert.deepEqual({ version, address, protocol }, json);
  assert.deepEqual(
    extensions.map(({ value }) => unpackAny(types.MountCapabilitiesSchema, value!)).map(
      ({ types, transforms }) => ({ types, transforms }),
    ),
    [{ types: ["erofs"], transforms: ["format", "mkdir"] }],
  );
});
