/**
 * The handshake on a connection to the guest's stream port. The host sends the length of the
 * stream's id (u32, big-endian) and the id. The guest answers 0, or 1 and a reason in the same
 * form, and closes. Frames follow: stream_frames.ts.
 *
 * @module
 */
import { printable, quoted } from "../../base/mod.ts";
import { type ByteStream, type IoOptions, readExactly } from "./byte_stream.ts";
import { Code, RpcError } from "../rpc_error.ts";

export const STREAM_ID_BYTES_MAX = 256;
const REFUSAL_BYTES_MAX = 1024;
const STREAM_ID = /^[A-Za-z0-9._:/-]+$/;
const ACCEPTED = 0;
const REFUSED = 1;

/**
 * Opens a stream, on the host. Closes the connection if it throws.
 *
 * @throws {RpcError} NotFound with the guest's reason if the guest refuses; DataLoss if there is no
 *   valid answer; InvalidArgument if `id` is invalid
 */
export async function openStream(
  stream: ByteStream,
  id: string,
  options?: IoOptions,
): Promise<void> {
  try {
    if (!isStreamId(id)) {
      throw new RpcError(Code.InvalidArgument, `${quoted(id)} is not a stream id`);
    }
    await stream.write(withLength(new TextEncoder().encode(id)), options);
    const answer = new Uint8Array(1);
    if (!await readExactly(stream, answer, options)) throw broken(id, "no answer");
    if (answer[0] === ACCEPTED) return;
    if (answer[0] !== REFUSED) throw broken(id, `answer ${answer[0]}`);
    const reason = await readText(stream, REFUSAL_BYTES_MAX, options);
    if (typeof reason !== "string") throw broken(id, "refusal without a reason");
    const why = printable(reason, REFUSAL_BYTES_MAX);
    throw new RpcError(Code.NotFound, `guest refused stream ${id}: ${why}`);
  } catch (error) {
    stream.close();
    throw error;
  }
}

/**
 * Accepts a stream, in the guest.
 *
 * @param known returns true to accept the id; false, or a reason, to refuse it
 * @returns the id, or null if it was refused or the peer is gone; the connection is then closed
 * @throws what `known` throws, or the reason of `signal`, and nothing else; the connection is then
 *   closed
 */
export async function acceptStream(
  stream: ByteStream,
  known: (id: string) => Verdict | Promise<Verdict>,
  options?: IoOptions,
): Promise<string | null> {
  let accepted = false;
  try {
    const id = await attempt(readText(stream, STREAM_ID_BYTES_MAX, options), options);
    if (id === null) return null;
    const reason = await refusalOf(id, known);
    const answer = reason === null ? Uint8Array.of(ACCEPTED) : refusal(reason || "refused");
    const written = await attempt(stream.write(answer, options).then(() => true), options);
    accepted = reason === null && written === true;
    return accepted ? id as string : null;
  } finally {
    if (!accepted) stream.close();
  }
}

/** Returns null if the peer is gone. */
async function attempt<T>(io: Promise<T>, options?: IoOptions): Promise<T | null> {
  try {
    return await io;
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    return null;
  }
}

async function refusalOf(
  id: string | BadLength,
  known: (id: string) => Verdict | Promise<Verdict>,
): Promise<string | null> {
  if (typeof id !== "string") return `length ${id.length} is not 1 to ${STREAM_ID_BYTES_MAX}`;
  if (!isStreamId(id)) return `${quoted(id)} is not a stream id`;
  const verdict = await known(id);
  if (typeof verdict === "string") return verdict;
  return verdict ? null : `unknown stream ${id}`;
}

type Verdict = boolean | string;

/** Stands for a text that is empty or too long. */
interface BadLength {
  length: number;
}

function isStreamId(text: string): boolean {
  return STREAM_ID.test(text) && text.length <= STREAM_ID_BYTES_MAX;
}

/** @throws {RpcError} DataLoss if the connection ends before the text does. */
async function readText(
  stream: ByteStream,
  bytesMax: number,
  options?: IoOptions,
): Promise<string | BadLength> {
  const header = new Uint8Array(4);
  if (!await readExactly(stream, header, options)) throw new RpcError(Code.DataLoss, "cut off");
  const length = new DataView(header.buffer).getUint32(0);
  if (length < 1 || length > bytesMax) return { length };
  const bytes = new Uint8Array(length);
  if (!await readExactly(stream, bytes, options)) throw new RpcError(Code.DataLoss, "cut off");
  return new TextDecoder().decode(bytes);
}

function refusal(reason: string): Uint8Array {
  const text = new TextEncoder().encode(reason).subarray(0, REFUSAL_BYTES_MAX);
  const message = new Uint8Array(1 + 4 + text.length);
  message[0] = REFUSED;
  message.set(withLength(text), 1);
  return message;
}

function withLength(bytes: Uint8Array): Uint8Array {
  const message = new Uint8Array(4 + bytes.length);
  new DataView(message.buffer).setUint32(0, bytes.length);
  message.set(bytes, 4);
  return message;
}

function broken(id: string, what: string): RpcError {
  return new RpcError(Code.DataLoss, `stream ${id}: ${what} from the guest`);
}
