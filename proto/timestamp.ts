/** google.protobuf.Timestamp from and to nanoseconds since 1970, without loss. @module */
import { create } from "./schema/mod.ts";
import { type Timestamp, TimestampSchema } from "./gen/google/protobuf/timestamp_schema.ts";

const SECOND = 1_000_000_000n;

/** Returns the timestamp of a time in nanoseconds since 1970. */
export function timestampFromNanoseconds(nanoseconds: bigint): Timestamp {
  // The nanos count forward before 1970, too.
  const nanos = ((nanoseconds % SECOND) + SECOND) % SECOND;
  return create(TimestampSchema, {
    seconds: (nanoseconds - nanos) / SECOND,
    nanos: Number(nanos),
  });
}

/** Returns the timestamp of a date, which has milliseconds. */
export function timestampFromDate(date: Date): Timestamp {
  return timestampFromNanoseconds(BigInt(date.getTime()) * 1_000_000n);
}

/** Returns the date of a timestamp, rounded down to milliseconds. */
export function timestampDate(timestamp: Timestamp): Date {
  return new Date(Number(timestamp.seconds) * 1000 + Math.floor(timestamp.nanos / 1e6));
}

/** Returns the time of a timestamp in nanoseconds since 1970. */
export function timestampToNanoseconds(timestamp: Timestamp): bigint {
  return timestamp.seconds * SECOND + BigInt(timestamp.nanos);
}
