/** Protobuf messages by small tables; see types.ts for why. @module */
export { create } from "./create.ts";
export { fromBinary } from "./decode.ts";
export { toBinary } from "./encode.ts";
export type {
  AnyMessageSchema,
  MessageInitShape,
  MessageSchema,
  MessageShape,
  MethodSchema,
  ServiceSchema,
} from "./types.ts";
