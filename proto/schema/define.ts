/** Functions for the generated `*_schema.ts` files. @module */
import type { Message } from "@bufbuild/protobuf";
import type {
  AnyMessageSchema,
  Field,
  MessageSchema,
  MethodSchema,
  ServiceSchemaOf,
} from "./types.ts";

/** Defines a message type. `fields` is called at the first use, so types may contain themselves. */
export function message<M extends Message>(
  typeName: M["$typeName"],
  fields: () => readonly Field[],
): MessageSchema<M> {
  let made: readonly Field[] | undefined;
  return {
    typeName,
    get fields() {
      return made ??= fields();
    },
  };
}

/** Defines a service; `G` is the type that protobuf-es generated (`typeof pb.Task`). */
export function service<G>(
  typeName: string,
  methods: readonly [
    name: string,
    localName: string,
    methodKind: MethodSchema["methodKind"],
    input: AnyMessageSchema,
    output: AnyMessageSchema,
  ][],
): ServiceSchemaOf<G> {
  const schemas = methods.map(([name, localName, methodKind, input, output]): MethodSchema => ({
    ...{ service: typeName, name, localName, methodKind, input, output },
  }));
  return {
    typeName,
    methods: schemas,
    method: Object.fromEntries(schemas.map((method) => [method.localName, method])),
  } as unknown as ServiceSchemaOf<G>;
}

/** Defines an enum in the form of TypeScript: names to numbers and back. */
export function enumeration<E>(values: Readonly<Record<string, number>>): E {
  const names = Object.entries(values).map(([name, number]) => [number, name]);
  return { ...Object.fromEntries(names), ...values } as E;
}
