/** google.protobuf.Timestamp and nanoseconds since 1970, without loss. @module */
import { create } from "./schema/mod.ts";
import { type Timestamp, TimestampSchema } from "./gen/google/protobuf/timestamp_schema.ts";

const SECOND = 1_000_000_000n;

export function timestampFromNanoseconds(nanoseconds: bigint): Timestamp {
  // The nanos of times before 1970 count forward, too.
  const nanos = ((nanoseconds % SECOND) + SECOND) % SECOND;
  return create(TimestampSchema, {
    seconds: (nanoseconds - nanos) / SECOND,
    nanos: Number(nanos),
  });
}

/** To the millisecond, as dates are. */
export function timestampFromDate(date: Date): Timestamp {
  return timestampFromNanoseconds(BigInt(date.getTime()) * 1_000_000n);
}

/** Cut to the millisecond. */
export function timestampDate(timestamp: Timestamp): Date {
  return new Date(Number(timestamp.seconds) * 1000 + Math.floor(timestamp.nanos / 1e6));
}

export function timestampToNanoseconds(timestamp: Timestamp): bigint {
  return timestamp.seconds * SECOND + BigInt(timestamp.nanos);
}
