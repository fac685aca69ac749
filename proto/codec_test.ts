/**
 * Compares our codec (proto/schema/) with two others: protobuf-es, byte by byte, and protobufjs,
 * which reads the .proto files itself. A message that one of them writes, the others must read as
 * the same message, for every message type.
 */
import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import {
  create as createTheirs,
  type DescField,
  type DescFile,
  type DescMessage,
  fromBinary as fromBinaryTheirs,
  type MessageInitShape,
  ScalarType,
  toBinary as toBinaryTheirs,
} from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import fc from "fast-check";
import protobuf from "protobufjs";
import {
  type AnyMessageSchema,
  create,
  fromBinary,
  type ServiceSchema,
  toBinary,
} from "./schema/mod.ts";

const PROTO = dirname(fileURLToPath(import.meta.url));
const MESSAGES_OF_EACH_TYPE = 40;

for (const path of [...protoFiles(PROTO)].sort()) {
  Deno.test(`protobufjs reads and writes ${path} as we do`, async () => {
    const [file, root] = [await generated(path), loadIndependently(path)];
    const schemas = await schemasOf(path);
    for (const desc of file.messages.flatMap(withNested)) {
      const schema = schemas.get(desc.typeName)!;
      const theirs = root.lookupType(desc.typeName);
      assert.deepEqual(
        theirs.fieldsArray.map((field) => [field.name, field.id]).sort(),
        desc.fields.map((field) => [field.name, field.number]).sort(),
      );
      fc.assert(
        fc.property(messages(desc), (init) => {
          const message = createTheirs(desc, init);
          const bytes = toBinaryTheirs(desc, message);
          assert.deepEqual(toBinary(schema, create(schema, init)), bytes, desc.typeName);
          assert.deepEqual(sorted(fromBinary(schema, bytes)), sorted(message), desc.typeName);
          const read = theirs.decode(bytes);
          const shown = theirs.toObject(read, { longs: String, bytes: String });
          assert.deepEqual(shown, plain(reflect(desc, message)), desc.typeName);
          const written = Uint8Array.from(theirs.encode(read).finish());
          assert.deepEqual(sorted(fromBinary(schema, written)), sorted(message));
          assert.deepEqual(fromBinaryTheirs(desc, written), message);
        }),
        { numRuns: MESSAGES_OF_EACH_TYPE },
      );
    }
  });
}

Deno.test("services have the methods and types of the .proto files", async () => {
  const seen: string[] = [];
  for (const path of protoFiles(PROTO)) {
    const [file, root] = [await generated(path), loadIndependently(path)];
    const module = await import(`./gen/${path.replace(/\.proto$/, "_schema.ts")}`);
    for (const { name, methods } of file.services) {
      const service = module[name] as ServiceSchema<unknown>;
      assert.deepEqual(
        service.methods.map((method) => [method.localName, method.methodKind]),
        methods.map((method) => [method.localName, method.methodKind]),
      );
      const theirs = root.lookupService(service.typeName);
      assert.deepEqual(Object.keys(theirs.methods), service.methods.map((method) => method.name));
      for (const method of service.methods) {
        const other = theirs.methods[method.name]!;
        assert.equal(other.resolvedRequestType!.fullName, `.${method.input.typeName}`);
        assert.equal(other.resolvedResponseType!.fullName, `.${method.output.typeName}`);
        assert.equal(other.responseStream ?? false, method.methodKind === "server_streaming");
      }
      seen.push(service.typeName);
    }
  }
  assert.deepEqual(seen.sort(), [
    "containerd.runtime.sandbox.v1.Sandbox",
    "containerd.services.events.ttrpc.v1.Events",
    "containerd.task.v2.Task",
    "containerd.task.v3.Task",
    "qemubox.guest.v1.Bundles",
    "qemubox.guest.v1.Checkpoints",
    "qemubox.guest.v1.Network",
    "qemubox.guest.v1.System",
  ]);
});

function* protoFiles(directory: string): Generator<string> {
  for (const entry of Deno.readDirSync(directory)) {
    const path = join(directory, entry.name);
    if (entry.isDirectory) yield* protoFiles(path);
    else if (entry.name.endsWith(".proto")) yield relative(PROTO, path);
  }
}

/** Schemas by type name. */
async function schemasOf(path: string): Promise<Map<string, AnyMessageSchema>> {
  const module = await import(`./gen/${path.replace(/\.proto$/, "_schema.ts")}`);
  const schemas = Object.entries<AnyMessageSchema>(module).filter(([name]) => /Schema$/.test(name));
  return new Map(schemas.map(([, schema]) => [schema.typeName, schema]));
}

/** Returns a message as plain data. */
function sorted(message: unknown): unknown {
  if (Array.isArray(message)) return message.map(sorted);
  if (typeof message !== "object" || message === null || message instanceof Uint8Array) {
    return message;
  }
  const shown: Record<string, unknown> = {
    $typeName: (message as { $typeName?: string }).$typeName,
  };
  for (const [key, value] of Object.entries(message)) {
    if (value !== undefined) shown[key] = sorted(value);
  }
  return shown;
}

async function generated(path: string): Promise<DescFile> {
  const stem = path.replace(/\.proto$/, "");
  const module = await import(`./gen/${stem}_pb.ts`);
  return module[`file_${stem.replaceAll("/", "_")}`];
}

function loadIndependently(path: string): protobuf.Root {
  const root = new protobuf.Root();
  const builtIn = (target: string) => protobuf.common.get(target) !== null;
  root.resolvePath = (_, target) => builtIn(target) ? target : join(PROTO, target);
  root.loadSync(path, { keepCase: true }).resolveAll();
  return root;
}

function withNested(desc: DescMessage): DescMessage[] {
  return [desc, ...desc.nestedMessages.flatMap(withNested)];
}

/** Generates messages of a type, with every field absent or with any value. */
function messages(desc: DescMessage): fc.Arbitrary<MessageInitShape<DescMessage>> {
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of desc.members) {
    members[member.localName] = member.kind === "oneof"
      ? fc.oneof(
        ...member.fields.map((field) =>
          values(field).map((value) => ({ case: field.localName, value }))
        ),
      )
      : values(member);
  }
  return fc.record(members, { requiredKeys: [], noNullPrototype: true }) as fc.Arbitrary<
    MessageInitShape<DescMessage>
  >;
}

function values(field: DescField): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return scalars(field.scalar);
    case "enum":
      return enums();
    case "message":
      return messages(field.message);
    case "list":
      return fc.array(single(field.listKind, field), { maxLength: 3 });
    case "map": {
      // Both libraries keep maps in objects, where this is not a normal key.
      const keys = scalars(field.mapKey).filter((key) => key !== "__proto__") as fc.Arbitrary<
        string
      >;
      return fc.dictionary(keys, single(field.mapKind, field), {
        maxKeys: 3,
        noNullPrototype: true,
      });
    }
  }
}

/** Generates an element of a list or a value of a map. */
function single(
  kind: "scalar" | "enum" | "message",
  field: { scalar?: ScalarType | undefined; message?: DescMessage | undefined },
): fc.Arbitrary<unknown> {
  if (kind === "message") return messages(field.message!);
  return kind === "enum" ? enums() : scalars(field.scalar!);
}

/** Generates any number: enums of proto3 are open. */
function enums(): fc.Arbitrary<number> {
  return fc.oneof(fc.integer({ min: -8, max: 12 }), fc.integer());
}

function scalars(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return fc.string({ unit: "grapheme" });
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 40 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.INT32:
      return fc.integer();
    case ScalarType.UINT32:
      return fc.integer({ min: 0, max: 0xffff_ffff });
    case ScalarType.INT64:
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case ScalarType.UINT64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case ScalarType.DOUBLE:
      return fc.double();
    default:
      throw new Error(`no values for scalar type ${ScalarType[type]} yet`);
  }
}

/**
 * Returns a message in the form of protobufjs: fields on the wire, 64 bits as text, bytes as
 * base64.
 */
function plain(message: ReflectMessage): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const value: unknown = message.get(field);
    if (field.fieldKind === "list") {
      shown[field.name] = [...value as Iterable<unknown>].map(show);
    } else if (field.fieldKind === "map") {
      const entries = [...value as Iterable<[string, unknown]>];
      shown[field.name] = Object.fromEntries(entries.map(([key, item]) => [key, show(item)]));
    } else shown[field.name] = show(value);
  }
  return shown;
}

function show(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return btoa(String.fromCharCode(...value));
  if (typeof value === "object" && value !== null && "desc" in value) {
    return plain(value as ReflectMessage);
  }
  return value;
}
