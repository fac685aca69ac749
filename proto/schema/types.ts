/**
 * Tables that describe messages on the wire, with only what the codec needs.
 *
 * Messages have the types of protobuf-es (`proto/gen/*_pb.ts`, types only). Its descriptors are not
 * used, because it builds them at every start by parsing a description of each .proto file, which
 * was half of the time until vminitd was ready. These tables are functions: nothing is made before
 * its first use.
 *
 * @module
 */
import type { Message, MessageInitShape as InitOf } from "@bufbuild/protobuf";
import type { GenMessage, GenService } from "@bufbuild/protobuf/codegenv2";

/** Scalar types in our .proto files. */
export type ScalarType =
  | "string"
  | "bytes"
  | "bool"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "double";

/** A field. For lists and maps, `type` is that of the elements or values. */
export interface Field {
  readonly no: number;
  /** Name of the message's property. */
  readonly name: string;
  readonly type: ScalarType | "enum" | "message";
  /** Schema of the messages, if `type` is "message". */
  readonly of?: AnyMessageSchema;
  readonly list?: true;
  /** Type of a map's keys. */
  readonly map?: ScalarType;
  /** Name of the oneof that the field is in. */
  readonly oneof?: string;
  /** `optional` in the .proto file: absent and zero differ. */
  readonly optional?: true;
}

/** Description of the message type `M` for `create`, `toBinary` and `fromBinary`. */
export interface MessageSchema<M extends Message> {
  /** Full name, with the package. */
  readonly typeName: M["$typeName"];
  readonly fields: readonly Field[];
  /** For the type checker only, never set. */
  readonly shape?: M;
}

// deno-lint-ignore no-explicit-any -- a schema of any message
export type AnyMessageSchema = MessageSchema<any>;

/** The message that a schema describes. */
export type MessageShape<S extends AnyMessageSchema> = S extends MessageSchema<infer M> ? M : never;

/** Input of `create` for a schema: any of its fields, messages as plain objects. */
export type MessageInitShape<S extends AnyMessageSchema> = InitOf<GenMessage<MessageShape<S>>>;

/** A method of a service. */
export interface MethodSchema {
  /** Full name of the service, with the package. */
  readonly service: string;
  /** Name in the .proto file. */
  readonly name: string;
  /** Name of the function in clients and implementations. */
  readonly localName: string;
  readonly methodKind: "unary" | "server_streaming" | "client_streaming" | "bidi_streaming";
  readonly input: AnyMessageSchema;
  readonly output: AnyMessageSchema;
}

type SchemaOf<G> = G extends GenMessage<infer M> ? MessageSchema<M> : never;

/** A service; `Methods` gives clients and implementations their types. */
export interface ServiceSchema<Methods> {
  /** Full name, with the package. */
  readonly typeName: string;
  readonly methods: readonly MethodSchema[];
  /** Methods by the names of their functions. */
  readonly method: Methods;
}

/** Schema of a service, from the type that protobuf-es generated. */
export type ServiceSchemaOf<G> = G extends GenService<infer Methods> ? ServiceSchema<
    {
      [K in keyof Methods]: {
        methodKind: Methods[K]["methodKind"];
        input: SchemaOf<Methods[K]["input"]>;
        output: SchemaOf<Methods[K]["output"]>;
      };
    }
  >
  : never;
