import type { AnyMessageSchema, Field, MessageInitShape, MessageShape } from "./types.ts";

/**
 * Returns a message with the fields of `init`, and default values for all others. Messages in
 * `init` may be plain objects. A value that is already a message is used as it is, not copied.
 */
export function create<S extends AnyMessageSchema>(
  schema: S,
  init: MessageInitShape<S> = {} as MessageInitShape<S>,
): MessageShape<S> {
  const given = init as Fields;
  if (given["$typeName"] === schema.typeName) return given as MessageShape<S>;
  const made = empty(schema);
  for (const field of schema.fields) {
    if (field.oneof !== undefined) {
      const chosen = given[field.oneof] as OneofValue | undefined;
      if (chosen?.case !== field.name || chosen.value === undefined) continue;
      made[field.oneof] = { case: field.name, value: single(field, chosen.value) };
      continue;
    }
    const value = given[field.name];
    if (value === undefined || value === null) continue;
    if (field.list) made[field.name] = (value as unknown[]).map((item) => single(field, item));
    else if (field.map) {
      const entries = Object.entries(value as Fields);
      made[field.name] = Object.fromEntries(
        entries.map(([key, item]) => [key, single(field, item)]),
      );
    } else made[field.name] = single(field, value);
  }
  return made as MessageShape<S>;
}

/** Returns a message of default values. Fields with presence are absent. */
export function empty(schema: AnyMessageSchema): Fields {
  const made: Fields = { $typeName: schema.typeName };
  for (const field of schema.fields) {
    if (field.oneof !== undefined) made[field.oneof] ??= { case: undefined };
    else if (field.list) made[field.name] = [];
    else if (field.map) made[field.name] = {};
    else if (field.type !== "message" && !field.optional) made[field.name] = zero(field.type);
  }
  return made;
}

/** Returns the default value of a scalar or enum. */
export function zero(type: Field["type"]): unknown {
  switch (type) {
    case "string":
      return "";
    case "bytes":
      return new Uint8Array(0);
    case "bool":
      return false;
    case "int64":
    case "uint64":
      return 0n;
    default:
      return 0;
  }
}

function single(field: Field, value: unknown): unknown {
  return field.of === undefined ? value : create(field.of, value as never);
}

/** A message without its static type. */
export type Fields = Record<string, unknown>;

/** The value of a oneof and the name of its field. */
export interface OneofValue {
  case?: string;
  value?: unknown;
}
