import { type Any, packAny, runcOptions } from "../../proto/mod.ts";
import { isEmpty, typeNameOf, unknownType, unpack } from "./runtime_options.ts";

/**
 * Makes a client's checkpoint options fit for the guest: paths of the host stay here.
 *
 * @returns null: the client asks for nothing in particular.
 * @throws RefusedError `invalid` for an unknown type, and for bytes that are not of their type.
 */
export function checkpointOptions(options: Any | undefined): Any | null {
  if (options === undefined || isEmpty(options)) return null;
  const { typeName } = runcOptions.CheckpointOptionsSchema;
  if (typeNameOf(options) !== typeName) {
    throw unknownType("checkpoint options", options, [typeName]);
  }
  const asked = unpack(runcOptions.CheckpointOptionsSchema, options);
  return packAny(runcOptions.CheckpointOptionsSchema, { ...asked, imagePath: "", workPath: "" });
}
