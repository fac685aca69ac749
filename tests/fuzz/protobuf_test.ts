/** Protobuf of every message between host and guest, in both directions. */

import assert from "node:assert/strict";
import { MIB } from "../../base/mod.ts";
import {
  type AnyMessageSchema,
  cgroups,
  create,
  events,
  fromBinary,
  guest,
  runcOptions,
  taskV3,
  toBinary,
} from "../../proto/mod.ts";
import { RequestSchema, ResponseSchema } from "../../proto/gen/ttrpc/request_schema.ts";
import { VALUES_MAX } from "../../proto/schema/decode.ts";
import { concat } from "../lib/bytes.ts";
import { fuzz } from "./fuzz.ts";
import type { Target } from "./target.ts";

interface WithMethods {
  readonly methods: readonly { input: AnyMessageSchema; output: AnyMessageSchema }[];
}

const SERVICES: readonly WithMethods[] = [
  ...[taskV3.Task, guest.System, guest.Bundles, guest.Checkpoints, guest.Network],
];
const SCHEMAS: readonly AnyMessageSchema[] = [
  ...new Set([
    ...SERVICES.flatMap(({ methods }) => methods.flatMap(({ input, output }) => [output, input])),
    ...[RequestSchema, ResponseSchema, cgroups.MetricsSchema, runcOptions.ProcessDetailsSchema],
    ...[events.TaskExitSchema, events.TaskOOMSchema, guest.MemoryWantedSchema],
  ]),
];
/** Depth of the messages in seeds. */
const SEED_DEPTH = 3;

/** The documented reasons of fromBinary. A decoder of text throws the last one. */
const REASONS = new RegExp(
  "^(message ends in the middle|varint of more than 10 bytes|field number is 0|" +
    "field \\S+ has wire type \\d(, not \\d)?|group \\d+ ends as group \\d+|" +
    "(messages|groups) are nested more than 100 deep|" +
    "message has more than \\d+ values|The encoded data is not valid)$",
);

/** Returns a message with a value in each field. */
function sample(schema: AnyMessageSchema, depth: number): Record<string, unknown> {
  const init: Record<string, unknown> = {};
  for (const { name, type, of, list, map, oneof } of schema.fields) {
    if (of !== undefined && depth === 0) continue;
    const value = of === undefined ? SCALARS[type] : sample(of, depth - 1);
    if (oneof !== undefined) init[oneof] = { case: name, value };
    else init[name] = list ? [value, value] : map ? { a: value, b: value } : value;
  }
  return init;
}

const SCALARS: Readonly<Record<string, unknown>> = {
  ...{ string: "täxt", bytes: Uint8Array.of(0, 255), bool: true, int32: -7, uint32: 300 },
  ...{ int64: -(1n << 60n), uint64: 1n << 63n, double: 1.5, enum: 1 },
};

/** Counts messages and items of lists and maps, each of which costs some 100 bytes of memory. */
function valuesIn(value: unknown): number {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return 0;
  const list = Array.isArray(value) ? value.length : 1;
  return Object.values(value).reduce<number>((sum, one) => sum + valuesIn(one), list);
}

const protobuf: Target = {
  name: "protobuf",
  // The first byte chooses the message.
  seeds: SCHEMAS.map((schema, index) => {
    const message = create(schema, sample(schema, SEED_DEPTH) as never);
    return concat([Uint8Array.of(index), toBinary(schema, message)]);
  }),
  parse: ([index = 0, ...rest]) => {
    const schema = SCHEMAS[index % SCHEMAS.length]!;
    const bytes = Uint8Array.from(rest);
    const message = fromBinary(schema, bytes);
    const known = toBinary(schema, message);
    assert.deepEqual(toBinary(schema, fromBinary(schema, known)), known);
    const values = valuesIn(message);
    // A oneof and a map are objects too.
    assert(values <= 3 * VALUES_MAX, `${values} values from ${bytes.length} bytes`);
    return `${schema.typeName} ${"+".repeat(Math.log2(values))}`;
  },
  refuses: (error) => error instanceof Error && REASONS.test(error.message),
};

fuzz({ ...protobuf, bytesMax: MIB });
