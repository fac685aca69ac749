/** google.protobuf.Any as containerd writes it. @module */
import { messageOf, quoted } from "../base/mod.ts";
import {
  type AnyMessageSchema,
  create,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "./schema/mod.ts";
import { type Any, AnySchema } from "./gen/google/protobuf/any_schema.ts";
import { Code, RpcError } from "./rpc_error.ts";

/**
 * Packs a message with its bare type name as the type URL, like containerd's typeurl: event filters
 * compare that text. `anyPack` of protobuf-es would prepend `type.googleapis.com/`.
 */
export function packAny<D extends AnyMessageSchema>(schema: D, message: MessageInitShape<D>): Any {
  return create(AnySchema, {
    typeUrl: schema.typeName,
    value: toBinary(schema, create(schema, message)),
  });
}

/**
 * Unpacks a message, with any prefix of the type's name in the type URL.
 *
 * @throws {RpcError} InvalidArgument if it has another type, or its bytes are invalid.
 */
export function unpackAny<D extends AnyMessageSchema>(schema: D, any: Any): MessageShape<D> {
  if (any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1) !== schema.typeName) {
    const why = `expected ${schema.typeName}, found ${quoted(any.typeUrl)}`;
    throw new RpcError(Code.InvalidArgument, why);
  }
  try {
    return fromBinary(schema, any.value);
  } catch (cause) {
    const why = `invalid ${schema.typeName}: ${messageOf(cause)}`;
    throw new RpcError(Code.InvalidArgument, why, { cause });
  }
}
