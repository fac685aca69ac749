import { type Any, Code, RpcError } from "../../proto/mod.ts";
import { quoted } from "../base/ids.ts";

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The JSON object of an Any that holds a structure of the OCI runtime specification, as containerd
 * sends it. `what` names it in errors.
 *
 * @throws {RpcError} InvalidArgument: nothing there, of another type, or no object
 */
export function ociObject(
  any: Any | undefined,
  type: "Process" | "LinuxResources",
  what: string,
): JsonObject {
  const invalid = (why: string): RpcError => new RpcError(Code.InvalidArgument, `${what}: ${why}`);
  if (any === undefined) throw invalid("there is none");
  // Before that comes containerd's own domain, or nothing.
  const name = `opencontainers/runtime-spec/1/${type}`;
  if (any.typeUrl !== name && !any.typeUrl.endsWith(`/${name}`)) {
    throw invalid(`it is of type ${quoted(any.typeUrl)}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(any.value));
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("it is not an object");
  }
  return value as JsonObject;
}
