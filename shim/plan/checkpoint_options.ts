import { type Any, Code, packAny, RpcError, runcOptions, unpackAny } from "../../proto/mod.ts";

/**
 * What a client asks of a checkpoint, as the guest is told of it: paths of the host stay here.
 *
 * @returns null: it asks for nothing in particular.
 * @throws RpcError InvalidArgument for a type that is not known, by its name, and for bytes that
 * are not of their type.
 */
export function checkpointOptions(options: Any | undefined): Any | null {
  if (options === undefined || (options.typeUrl === "" && options.value.length === 0)) return null;
  const type = options.typeUrl.slice(options.typeUrl.lastIndexOf("/") + 1);
  const { typeName } = runcOptions.CheckpointOptionsSchema;
  if (type !== typeName) {
    throw new RpcError(
      Code.InvalidArgument,
      `checkpoint options of type ${JSON.stringify(options.typeUrl)} are not known; ` +
        `known is ${typeName}`,
    );
  }
  const asked = unpackAny(runcOptions.CheckpointOptionsSchema, options);
  return packAny(runcOptions.CheckpointOptionsSchema, { ...asked, imagePath: "", workPath: "" });
}
