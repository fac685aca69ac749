import { messageOf } from "../../base/mod.ts";
import { type Fields, type OneofValue } from "./create.ts";
import type { AnyMessageSchema, Field, MessageShape } from "./types.ts";
import { Wire, WireWriter } from "./wire.ts";

const INTEGER_RANGE = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  enum: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
} as const;

/**
 * Encodes a message: fields in the order of the .proto file, without those at their default.
 *
 * @throws {Error} naming the field, if a value has another type or is out of range.
 */
export function toBinary<S extends AnyMessageSchema>(
  schema: S,
  message: MessageShape<S>,
): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  const fields = message as Fields;
  for (const field of schema.fields) {
    try {
      writeField(writer, field, valueOf(field, fields));
    } catch (error) {
      throw new Error(`${schema.typeName}.${field.name}: ${messageOf(error)}`);
    }
  }
  return writer.finish() as Uint8Array<ArrayBuffer>;
}

/** Returns the value to write for a field, or undefined if there is none. */
function valueOf(field: Field, fields: Fields): unknown {
  if (field.oneof !== undefined) {
    const chosen = fields[field.oneof] as OneofValue | undefined;
    return chosen?.case === field.name ? chosen.value : undefined;
  }
  const value = fields[field.name];
  if (value === undefined || value === null) return undefined;
  const explicit = field.list || field.map || field.optional || field.type === "message";
  return explicit || !isDefault(value) ? value : undefined;
}

function isDefault(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  // -0 is not the default.
  return value === "" || value === false || value === 0n || Object.is(value, 0);
}

function writeField(writer: WireWriter, field: Field, value: unknown): void {
  if (value === undefined) return;
  if (field.map) {
    const key: Field = { no: 1, name: "key", type: field.map };
    const item: Field = { ...field, no: 2 };
    for (const [name, content] of Object.entries(value as Fields)) {
      const entry = new WireWriter();
      writeSingle(entry, key, keyOf(field.map, name));
      writeSingle(entry, item, content);
      writer.tag(field.no, Wire.Bytes);
      writer.bytes(entry.finish());
    }
  } else if (!field.list) {
    writeSingle(writer, field, value);
  } else if (isPacked(field)) {
    const items = value as unknown[];
    if (items.length === 0) return;
    const packed = new WireWriter();
    for (const item of items) writeValue(packed, field, item);
    writer.tag(field.no, Wire.Bytes);
    writer.bytes(packed.finish());
  } else {
    for (const item of value as unknown[]) writeSingle(writer, field, item);
  }
}

function writeSingle(writer: WireWriter, field: Field, value: unknown): void {
  writer.tag(field.no, wireOf(field.type));
  writeValue(writer, field, value);
}

function writeValue(writer: WireWriter, { type, of }: Field, value: unknown): void {
  switch (type) {
    case "message":
      return writer.bytes(toBinary(of!, value as never));
    case "string":
      return writer.string(checked(value, "string"));
    case "bytes":
      if (!(value instanceof Uint8Array)) throw new Error(`${typeof value} instead of Uint8Array`);
      return writer.bytes(value);
    case "bool":
      return writer.varint(checked(value, "boolean") ? 1n : 0n);
    case "double":
      return writer.double(checked(value, "number"));
    default:
      return writer.varint(integer(type, value));
  }
}

function integer(type: keyof typeof INTEGER_RANGE, value: unknown): bigint {
  const [min, max] = INTEGER_RANGE[type];
  const whole = typeof min === "bigint" ? typeof value === "bigint" : Number.isInteger(value);
  if (!whole || (value as number) < min || (value as number) > max) {
    throw new Error(`${String(value)} is not of type ${type}`);
  }
  return BigInt(value as number);
}

function checked<T extends string | number | boolean>(
  value: unknown,
  type: "string" | "number" | "boolean",
): T {
  const found: string = typeof value;
  if (found !== type) throw new Error(`${found} instead of ${type}`);
  return value as T;
}

/** Converts a property name back to a key of a map. */
function keyOf(type: Field["type"], name: string): unknown {
  if (type === "string") return name;
  if (type === "bool") return name === "true";
  return type === "int64" || type === "uint64" ? BigInt(name) : Number(name);
}

/** Returns the wire type of a single value. */
export function wireOf(type: Field["type"]): number {
  if (type === "string" || type === "bytes" || type === "message") return Wire.Bytes;
  return type === "double" ? Wire.Fixed64 : Wire.Varint;
}

/** Returns whether a list is packed: in proto3, lists of numbers are. */
export function isPacked(field: Field): boolean {
  return field.list === true && wireOf(field.type) !== Wire.Bytes;
}
