import { messageOf, quoted } from "../../base/mod.ts";
import { type Any, parseOciJson } from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";

/** A JSON object of the OCI specifications. Integers that a number cannot hold are bigints. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Returns whether `value` is a JSON object: neither null nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Parses the JSON object of an OCI specification. Errors call it `what`.
 *
 * @throws {RpcError} InvalidArgument: not UTF-8, not JSON, or not an object
 */
export function parseOciObject(json: Uint8Array, what: string): JsonObject {
  let value: unknown;
  try {
    value = parseOciJson(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (error) {
    throw invalid(`${what}: ${messageOf(error)}`);
  }
  if (!isJsonObject(value)) throw invalid(`${what}: not a JSON object`);
  return value;
}

/**
 * Returns the JSON object in an Any that holds a structure of the OCI runtime specification, as
 * containerd sends it. Errors call it `what`.
 *
 * @throws {RpcError} InvalidArgument: no Any, another type, or not a JSON object
 */
export function ociObject(
  any: Any | undefined,
  type: "Process" | "LinuxResources",
  what: string,
): JsonObject {
  if (any === undefined) throw invalid(`${what}: missing`);
  // containerd puts its own domain in front, or nothing.
  const name = `opencontainers/runtime-spec/1/${type}`;
  if (any.typeUrl !== name && !any.typeUrl.endsWith(`/${name}`)) {
    throw invalid(`${what}: has type ${quoted(any.typeUrl)} instead of ${name}`);
  }
  return parseOciObject(any.value, what);
}
