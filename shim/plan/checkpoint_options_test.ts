import assert from "node:assert/strict";
import { Code, packAny, RpcError, runcOptions, unpackAny } from "../../proto/mod.ts";
import { checkpointOptions } from "./checkpoint_options.ts";

Deno.test("the guest is told what is asked for, and no path of the host", () => {
  const { CheckpointOptionsSchema } = runcOptions;
  assert.equal(checkpointOptions(undefined), null);
  assert.equal(checkpointOptions({ typeUrl: "", value: new Uint8Array() } as never), null);
  const asked = { exit: true, fileLocks: true, imagePath: "/host/images", workPath: "/host/work" };
  const told = unpackAny(
    CheckpointOptionsSchema,
    checkpointOptions(packAny(CheckpointOptionsSchema, asked))!,
  );
  const { exit, fileLocks, imagePath, workPath } = told;
  assert.deepEqual({ exit, fileLocks, imagePath, workPath }, {
    ...{ exit: true, fileLocks: true, imagePath: "", workPath: "" },
  });
});

Deno.test("options of another type are refused by its name", () => {
  assert.throws(
    () => checkpointOptions(packAny(runcOptions.OptionsSchema, {})),
    (error) =>
      error instanceof RpcError && error.code === Code.InvalidArgument &&
      /"[^"]*containerd.runc.v1.Options" are not known/.test(error.message),
  );
});
