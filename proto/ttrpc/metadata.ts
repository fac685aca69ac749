/** Key-value pairs of a request. @module */
import type { MessageInitShape } from "../schema/mod.ts";
import type { KeyValue, KeyValueSchema } from "../gen/ttrpc/request_schema.ts";

/** Keys are lower case; each may have several values. */
export type Metadata = Map<string, string[]>;

/** Returns the metadata of a request. */
export function metadataFrom(pairs: readonly KeyValue[]): Metadata {
  const metadata: Metadata = new Map();
  for (const { key, value } of pairs) {
    const values = metadata.get(key.toLowerCase());
    if (values === undefined) metadata.set(key.toLowerCase(), [value]);
    else values.push(value);
  }
  return metadata;
}

/** Returns the pairs to send for metadata. */
export function pairsOf(
  metadata: ReadonlyMap<string, readonly string[]>,
): MessageInitShape<typeof KeyValueSchema>[] {
  return [...metadata].flatMap(([key, values]) =>
    values.map((value) => ({ key: key.toLowerCase(), value }))
  );
}
