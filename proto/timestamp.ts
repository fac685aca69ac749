/** google.protobuf.Timestamp and nanoseconds since 1970, without loss. @module */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";

const SECOND = 1_000_000_000n;

export function timestampFromNanoseconds(nanoseconds: bigint): Timestamp {
  // The nanos of times before 1970 count forward, too.
  const nanos = ((nanoseconds % SECOND) + SECOND) % SECOND;
  return create(TimestampSchema, {
    seconds: (nanoseconds - nanos) / SECOND,
    nanos: Number(nanos),
  });
}

export function timestampToNanoseconds(timestamp: Timestamp): bigint {
  return timestamp.seconds * SECOND + BigInt(timestamp.nanos);
}
