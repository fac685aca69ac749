/**
 * The contracts between containerd, shim and guest, and TTRPC, the protocol that carries them.
 *
 * The generated code has one namespace per protobuf package, with `X` (the type), `XSchema` (for
 * `create`, `toBinary`, `fromBinary`, `packAny`) and, for services, the service itself:
 *
 * | Namespace | Package | Main contents |
 * |---|---|---|
 * | `taskV2`, `taskV3` | containerd.task.v2, .v3 | `Task` and its requests and responses |
 * | `taskTypes` | containerd.v1.types | `Status`, `ProcessInfo` |
 * | `types` | containerd.types | `Mount`, `Envelope`, `Metric`, `RuntimeInfo`, … |
 * | `events` | containerd.events | `TaskCreate`, `TaskStart`, `TaskExit`, `TaskDelete`, … |
 * | `eventsService` | containerd.services.events.ttrpc.v1 | `Events`, `ForwardRequest` |
 * | `bootstrap` | containerd.runtime.bootstrap.v1 | `BootstrapParams`, `BootstrapResult` |
 * | `runcOptions` | containerd.runc.v1 | `Options`, `CheckpointOptions`, `ProcessDetails` |
 * | `runtimeOptions` | runtimeoptions.v1 | `Options` |
 * | `cgroups` | io.containerd.cgroups.v2 | `Metrics` |
 * | `guest` | qemubox.guest.v1 | `System`, `Bundles`, `Checkpoints`, `Network` |
 *
 * @module
 */
export {
  bootstrap,
  cgroups,
  events,
  eventsService,
  guest,
  runcOptions,
  runtimeOptions,
  taskTypes,
  taskV2,
  taskV3,
  types,
} from "./names.ts";
export { create, fromBinary, toBinary } from "./schema/mod.ts";
export type { AnyMessageSchema, MessageInitShape, MessageShape } from "./schema/mod.ts";
export { type Any, AnySchema } from "./gen/google/protobuf/any_schema.ts";
export type { Timestamp } from "./gen/google/protobuf/timestamp_schema.ts";
export { packAny, unpackAny } from "./any.ts";
export { timestampDate, timestampFromDate, timestampFromNanoseconds } from "./timestamp.ts";

export type { ByteStream } from "./streams/byte_stream.ts";
export { Code, RpcError, rpcErrorFrom } from "./rpc_error.ts";

export { implement } from "./ttrpc/service.ts";
export type { ServiceBinding, ServiceImpl } from "./ttrpc/service.ts";
export { TtrpcServer } from "./ttrpc/server.ts";
export { TtrpcConnection } from "./ttrpc/connection.ts";
export { createClient } from "./ttrpc/client.ts";
export type { Client } from "./ttrpc/client.ts";
export { MESSAGE_BYTES_MAX } from "./ttrpc/message.ts";

export {
  GUEST_MEMORY_TOPIC,
  GUEST_READY_MARKER,
  GUEST_RPC_PORT,
  GUEST_STREAM_PORT,
} from "./streams/guest_wire.ts";
export {
  answerChallenge,
  CHALLENGE_BYTES,
  challengePeer,
  GuestSecret,
  SECRET_DIGITS,
} from "./streams/handshake.ts";
export { acceptStream, openStream, STREAM_ID_BYTES_MAX } from "./streams/stream_open.ts";
export { FrameReader, FrameWriter, waitForClose } from "./streams/stream_frames.ts";

export { encodeOciJson, parseOciJson } from "./oci_json.ts";
