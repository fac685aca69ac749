/**
 * How a message lies on the wire, as little of it as encoding takes.
 *
 * The types of messages are protobuf-es's (`proto/gen/*_pb.ts`, types alone), its descriptors are not
 * used: to build them it parses each .proto file's own description at every start, which cost half of
 * what vminitd needed to get ready. These tables are functions: nothing is made before its first use.
 *
 * @module
 */
import type { Message, MessageInitShape as InitOf } from "@bufbuild/protobuf";
import type { GenMessage, GenService } from "@bufbuild/protobuf/codegenv2";

/** The scalar types that our .proto files use. */
export type ScalarType =
  | "string"
  | "bytes"
  | "bool"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "double";

/** One field. `type` is that of an element of a list, and of a value of a map. */
export interface Field {
  readonly no: number;
  /** As the message's property is called. */
  readonly name: string;
  readonly type: ScalarType | "enum" | "message";
  /** Of messages. */
  readonly of?: AnyMessageSchema;
  readonly list?: true;
  /** The type of a map's keys. */
  readonly map?: ScalarType;
  /** The oneof that the field is in. */
  readonly oneof?: string;
  /** `optional` in the .proto file: absent and zero are two things. */
  readonly optional?: true;
}

/** What `create`, `toBinary` and `fromBinary` need to know of the message type `M`. */
export interface MessageSchema<M extends Message> {
  /** With its package. */
  readonly typeName: M["$typeName"];
  readonly fields: readonly Field[];
  /** Types alone: never there. */
  readonly shape?: M;
}

// deno-lint-ignore no-explicit-any -- whatever its message is
export type AnyMessageSchema = MessageSchema<any>;

/** The message that a schema describes. */
export type MessageShape<S extends AnyMessageSchema> = S extends MessageSchema<infer M> ? M : never;

/** What `create` takes for a schema: any of the fields, messages as plain objects. */
export type MessageInitShape<S extends AnyMessageSchema> = InitOf<GenMessage<MessageShape<S>>>;

/** One method of a service. */
export interface MethodSchema {
  /** The service's name, with its package. */
  readonly service: string;
  /** As in the .proto file. */
  readonly name: string;
  /** As the function is called. */
  readonly localName: string;
  readonly methodKind: "unary" | "server_streaming" | "client_streaming" | "bidi_streaming";
  readonly input: AnyMessageSchema;
  readonly output: AnyMessageSchema;
}

type SchemaOf<G> = G extends GenMessage<infer M> ? MessageSchema<M> : never;

/** A service; `Methods` gives clients and implementations their types. */
export interface ServiceSchema<Methods> {
  /** With its package. */
  readonly typeName: string;
  readonly methods: readonly MethodSchema[];
  /** By the functions' names. */
  readonly method: Methods;
}

/** The schema of a service that protobuf-es has generated the type of. */
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
