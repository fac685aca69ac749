import assert from "node:assert/strict";
import { npmPackagesOf } from "./bundle.ts";

Deno.test("npmPackagesOf names the packages that source files are from, once", () => {
  assert.deepEqual(
    npmPackagesOf([
      "../work/shim/main.ts",
      "../cache/deno/npm/registry.example.org/zod/4.6.7/v4/core/util.js",
      "../cache/deno/npm/registry.example.org/zod/4.6.7/v4/core/core.js",
      "../cache/deno/npm/registry.example.org/@bufbuild/protobuf/2.17.0-rc.1/dist/index.js",
      "../home/npm/qemubox/guest/main.ts",
    ]),
    ["@bufbuild/protobuf@2.17.0-rc.1", "zod@4.6.7"],
  );
});
