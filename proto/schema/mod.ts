/** Protobuf messages by small tables; see types.ts for why. @module */
export { create } from "./create.ts";
export { fromBinary } from "./decode.ts";
export { enumeration, message, service } from "./define.ts";
export { toBinary } from "./encode.ts";
export type {
  AnyMessageSchema,
  Field,
  MessageInitShape,
  MessageSchema,
  MessageShape,
  MethodSchema,
  ScalarType,
  ServiceSchema,
  ServiceSchemaOf,
} from "./types.ts";
