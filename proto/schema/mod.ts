/** Protobuf messages from small tables; types.ts has the reason. @module */
export { create } from "./create.ts";
export { fromBinary } from "./decode.ts";
export { toBinary } from "./encode.ts";
export type {
  AnyMessageSchema,
  MessageInitShape,
  MessageShape,
  MethodSchema,
  ServiceSchema,
} from "./types.ts";
