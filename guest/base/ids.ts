import { isIdentifier, quoted } from "../../base/mod.ts";
import { STREAM_ID_BYTES_MAX } from "../../proto/mod.ts";
import { invalid } from "./errors.ts";

// ASCII only, so that characters are bytes.
const STREAM_ID = /^[A-Za-z0-9._:/-]+$/;

/**
 * Returns `id` if containerd would give it to a container. It becomes the name of a directory and
 * an argument of crun; containerd's rule allows neither a leading "-" nor "..".
 *
 * @throws {RpcError} InvalidArgument
 */
export function checkedContainerId(id: string): string {
  if (!isIdentifier(id)) throw invalid(`invalid container id ${quoted(id)}`);
  return id;
}

/**
 * Returns `id` if containerd would give it to an exec process.
 *
 * @throws {RpcError} InvalidArgument
 */
export function checkedExecId(id: string): string {
  if (!isIdentifier(id)) throw invalid(`invalid exec id ${quoted(id)}`);
  return id;
}

/**
 * Returns `id` if it can be dialed on the stream port.
 *
 * @throws {RpcError} InvalidArgument
 */
export function checkedStreamId(id: string): string {
  if (id.length > STREAM_ID_BYTES_MAX || !STREAM_ID.test(id)) {
    throw invalid(`invalid stream id ${quoted(id)}`);
  }
  return id;
}
