import { Code, RpcError } from "../../proto/mod.ts";

/** Longest container id, in characters: containerd's own limit. */
export const CONTAINER_ID_LENGTH_MAX = 76;
/** Longest stream id, in characters: the limit of the preamble on the stream port. */
export const STREAM_ID_LENGTH_MAX = 256;

// containerd's rule (pkg/identifiers). An id becomes a folder's name and an argument of crun, so that
// it may neither start with "-" nor be "..".
const CONTAINER_ID = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;
const STREAM_ID = /^[A-Za-z0-9._:/-]+$/;

/**
 * Returns `id` when it is one that containerd would give.
 *
 * @throws {RpcError} InvalidArgument
 */
export function checkedContainerId(id: string): string {
  if (id.length > CONTAINER_ID_LENGTH_MAX || !CONTAINER_ID.test(id)) {
    throw new RpcError(Code.InvalidArgument, `invalid container id ${quoted(id)}`);
  }
  return id;
}

/**
 * Returns `id` when it is one that containerd would give to a process of a container.
 *
 * @throws {RpcError} InvalidArgument
 */
export function checkedExecId(id: string): string {
  if (id.length > CONTAINER_ID_LENGTH_MAX || !CONTAINER_ID.test(id)) {
    throw new RpcError(Code.InvalidArgument, `invalid exec id ${quoted(id)}`);
  }
  return id;
}

/**
 * Returns `id` when it can be dialed on the stream port.
 *
 * @throws {RpcError} InvalidArgument
 */
export function checkedStreamId(id: string): string {
  if (id.length > STREAM_ID_LENGTH_MAX || !STREAM_ID.test(id)) {
    throw new RpcError(Code.InvalidArgument, `invalid stream id ${quoted(id)}`);
  }
  return id;
}

/** `text` in quotes, cut to a length that fits into an error. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
