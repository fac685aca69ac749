import { empty, type Fields, type OneofValue, zero } from "./create.ts";
import { isPacked, wireOf } from "./encode.ts";
import type { AnyMessageSchema, Field, MessageShape } from "./types.ts";
import { Wire, WireReader } from "./wire.ts";

/** Limit of nested messages and groups, so that a peer cannot overflow our stack. */
const DEPTH_MAX = 100;
/**
 * Limit of the messages and list items in a message. Each may have only two bytes on the wire and
 * 100 and more in memory. The longest lists that we accept have 65,536 of both together.
 */
export const VALUES_MAX = 131_072;

/** Left of VALUES_MAX. Decoding is synchronous, so there is one message at a time. */
let valuesLeft = 0;

/**
 * Decodes a message from untrusted bytes. Skips unknown fields.
 *
 * @throws {Error} if the bytes are not such a message, or it has more than VALUES_MAX values.
 */
export function fromBinary<S extends AnyMessageSchema>(
  schema: S,
  bytes: Uint8Array,
): MessageShape<S> {
  valuesLeft = VALUES_MAX;
  return readMessage(schema, bytes, DEPTH_MAX) as MessageShape<S>;
}

/** Reads into `made`, because a message may come in several parts, which are merged. */
function readMessage(
  schema: AnyMessageSchema,
  bytes: Uint8Array,
  depth: number,
  made: Fields = empty(schema),
): Fields {
  if (depth === 0) throw new Error(`messages are nested more than ${DEPTH_MAX} deep`);
  countValue();
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const { no, wire } = readTag(reader);
    const field = schema.fields.find((field) => field.no === no);
    if (field === undefined) skip(reader, no, wire, depth);
    else readField(reader, field, wire, made, depth);
  }
  return made;
}

function countValue(): void {
  if (--valuesLeft < 0) throw new Error(`message has more than ${VALUES_MAX} values`);
}

function readTag(reader: WireReader): { no: number; wire: number } {
  const tag = reader.uint32();
  if (tag < 8) throw new Error("field number is 0");
  return { no: tag >>> 3, wire: tag & 7 };
}

function readField(
  reader: WireReader,
  field: Field,
  wire: number,
  made: Fields,
  depth: number,
): void {
  if (isPacked(field) && wire === Wire.Bytes) {
    const items = new WireReader(reader.bytes());
    const list = made[field.name] as unknown[];
    while (!items.done) {
      countValue();
      list.push(readValue(items, field, undefined, depth));
    }
    return;
  }
  const wanted = field.map ? Wire.Bytes : wireOf(field.type);
  if (wire !== wanted) throw new Error(`field ${field.name} has wire type ${wire}, not ${wanted}`);
  if (field.map) {
    const [key, value] = readEntry(field, reader.bytes(), depth);
    // Not an assignment, because the key may be "__proto__".
    Object.defineProperty(made[field.name], key, {
      ...{ value, enumerable: true, configurable: true, writable: true },
    });
  } else if (field.list) {
    if (field.of === undefined) countValue();
    (made[field.name] as unknown[]).push(readValue(reader, field, undefined, depth));
  } else if (field.oneof !== undefined) {
    const before = made[field.oneof] as OneofValue;
    const old = before.case === field.name ? before.value : undefined;
    made[field.oneof] = { case: field.name, value: readValue(reader, field, old, depth) };
  } else {
    made[field.name] = readValue(reader, field, made[field.name], depth);
  }
}

/** @param old the message to merge a further part into. */
function readValue(reader: WireReader, { type, of }: Field, old: unknown, depth: number): unknown {
  switch (type) {
    case "message":
      return readMessage(of!, reader.bytes(), depth - 1, old as Fields | undefined);
    case "string":
      return reader.string();
    case "bytes":
      // A copy, because the bytes may be in a buffer that is reused.
      return reader.bytes().slice();
    case "bool": {
      const { low, high } = reader.varint();
      return low !== 0 || high !== 0;
    }
    case "int32":
    case "enum":
      return reader.uint32() | 0;
    case "uint32":
      return reader.uint32();
    case "int64":
      return BigInt.asIntN(64, reader.uint64());
    case "uint64":
      return reader.uint64();
    case "double":
      return reader.double();
  }
}

/** Reads an entry of a map: a message with the key as field 1 and the value as field 2. */
function readEntry(field: Field, bytes: Uint8Array, depth: number): [string, unknown] {
  const key: Field = { no: 1, name: "key", type: field.map! };
  const value: Field = {
    ...{ no: 2, name: "value", type: field.type },
    ...(field.of === undefined ? {} : { of: field.of }),
  };
  const entry = readMessage({ typeName: "map entry", fields: [key, value] }, bytes, depth - 1);
  const content = entry["value"] ?? (field.of === undefined ? zero(field.type) : empty(field.of));
  return [String(entry["key"]), content];
}

function skip(reader: WireReader, no: number, wire: number, depth: number): void {
  if (depth === 0) throw new Error(`groups are nested more than ${DEPTH_MAX} deep`);
  switch (wire) {
    case Wire.Varint:
      reader.varint();
      return;
    case Wire.Fixed64:
      reader.take(8);
      return;
    case Wire.Bytes:
      reader.bytes();
      return;
    case Wire.Fixed32:
      reader.take(4);
      return;
    case Wire.Start:
      for (;;) {
        const inner = readTag(reader);
        if (inner.wire !== Wire.End) skip(reader, inner.no, inner.wire, depth - 1);
        else if (inner.no === no) return;
        else throw new Error(`group ${no} ends as group ${inner.no}`);
      }
    default:
      throw new Error(`field ${no} has wire type ${wire}`);
  }
}
