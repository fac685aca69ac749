import assert from "node:assert/strict";
import { AnySchema, create, packAny, runcOptions, unpackAny } from "../../proto/mod.ts";
import { assertRefused } from "../testing/refused.ts";
import { checkpointOptions } from "./checkpoint_options.ts";

Deno.test("checkpoint options reach the guest without paths of the host", () => {
  const { CheckpointOptionsSchema } = runcOptions;
  assert.equal(checkpointOptions(undefined), null);
  assert.equal(checkpointOptions({ typeUrl: "", value: new Uint8Array() } as never), null);
  const asked = { exit: true, fileLocks: true, imagePath: "/host/images", workPath: "/host/work" };
  const passed = unpackAny(
    CheckpointOptionsSchema,
    checkpointOptions(packAny(CheckpointOptionsSchema, asked))!,
  );
  const { exit, fileLocks, imagePath, workPath } = passed;
  assert.deepEqual({ exit, fileLocks, imagePath, workPath }, {
    ...{ exit: true, fileLocks: true, imagePath: "", workPath: "" },
  });
});

Deno.test("checkpoint options of another type, or with malformed bytes, are refused", () => {
  const { typeName } = runcOptions.CheckpointOptionsSchema;
  assertRefused(
    () => checkpointOptions(packAny(runcOptions.OptionsSchema, {})),
    "invalid",
    /^checkpoint options of type "[^"]*containerd.runc.v1.Options" are not known: use [^ ]*Options$/,
  );
  const malformed = create(AnySchema, { typeUrl: typeName, value: Uint8Array.of(0xff) });
  assertRefused(
    () => checkpointOptions(malformed),
    "invalid",
    /^options of type containerd\.runc\.v1\.CheckpointOptions are malformed: invalid containerd\./,
  );
});
