/**
 * The first bytes on each connection to a port of the guest: the host proves that it has the
 * secret that the guest got at its boot. The guest sends a challenge of 32 random bytes. The host
 * answers with HMAC-SHA-256 of "qemubox", the port (u32, big-endian) and the challenge, and goes on
 * with the port's protocol without waiting. The guest closes the connection for any other answer.
 *
 * @module
 */
import { type ByteStream, type IoOptions, readExactly } from "./byte_stream.ts";
import { Code, RpcError } from "../rpc_error.ts";

const SECRET_BYTES = 32;
/** Bytes of a secret on the guest's console: hexadecimal digits, which no terminal changes. */
export const SECRET_DIGITS = 2 * SECRET_BYTES;
export const CHALLENGE_BYTES = 32;
export const ANSWER_BYTES = 32;
const CONTEXT = new TextEncoder().encode("qemubox");
const HMAC = { name: "HMAC", hash: "SHA-256" } as const;

/** The secret that a shim and its guest share. Its bytes are in no text of this object. */
export class GuestSecret {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #key: Promise<CryptoKey> | null = null;

  private constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  /** Makes a new one. */
  static random(): GuestSecret {
    return new GuestSecret(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
  }

  /** @throws {TypeError} unless `digits` are SECRET_DIGITS lower-case hexadecimal digits. */
  static fromDigits(digits: Uint8Array): GuestSecret {
    const text = new TextDecoder().decode(digits);
    if (digits.length !== SECRET_DIGITS || !/^[0-9a-f]+$/.test(text)) {
      throw new TypeError(`secret must be ${SECRET_DIGITS} hexadecimal digits`);
    }
    return new GuestSecret(Uint8Array.from(text.match(/../g)!, (byte) => parseInt(byte, 16)));
  }

  /** Returns the digits of `fromDigits`. */
  digits(): Uint8Array {
    const digits = Array.from(this.#bytes, (byte) => byte.toString(16).padStart(2, "0"));
    return new TextEncoder().encode(digits.join(""));
  }

  /** Returns the answer to a challenge. */
  async answer(port: number, challenge: Uint8Array): Promise<Uint8Array> {
    const key = await this.#imported();
    return new Uint8Array(await crypto.subtle.sign(HMAC, key, messageOf(port, challenge)));
  }

  /** Whether `answer` is the answer to a challenge. Compares in constant time. */
  async isAnswer(
    port: number,
    challenge: Uint8Array,
    answer: Uint8Array<ArrayBuffer>,
  ): Promise<boolean> {
    const key = await this.#imported();
    return await crypto.subtle.verify(HMAC, key, answer, messageOf(port, challenge));
  }

  #imported(): Promise<CryptoKey> {
    return this.#key ??= crypto.subtle.importKey("raw", this.#bytes, HMAC, false, [
      "sign",
      "verify",
    ]);
  }
}

/**
 * Answers the challenge on a new connection, on the host. Does not learn whether the guest accepts
 * it.
 *
 * @throws {RpcError} DataLoss if there is no whole challenge.
 */
export async function answerChallenge(
  stream: ByteStream,
  port: number,
  secret: GuestSecret,
  options?: IoOptions,
): Promise<void> {
  const challenge = new Uint8Array(CHALLENGE_BYTES);
  if (!await readExactly(stream, challenge, options)) {
    throw new RpcError(Code.DataLoss, `guest closed the connection to port ${port} unasked`);
  }
  await stream.write(await secret.answer(port, challenge), options);
}

/**
 * Challenges the peer of a new connection, in the guest. Reads no byte after the answer.
 *
 * @returns whether the peer has the secret.
 * @throws {RpcError} DataLoss if it hangs up within its answer; what the stream throws.
 */
export async function challengePeer(
  stream: ByteStream,
  port: number,
  secret: Promise<GuestSecret>,
  options?: IoOptions,
): Promise<boolean> {
  const challenge = crypto.getRandomValues(new Uint8Array(CHALLENGE_BYTES));
  await stream.write(challenge, options);
  const answer = new Uint8Array(ANSWER_BYTES);
  if (!await readExactly(stream, answer, options)) return false;
  return await (await secret).isAnswer(port, challenge, answer);
}

function messageOf(port: number, challenge: Uint8Array): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(CONTEXT.length + 4 + challenge.length);
  message.set(CONTEXT);
  new DataView(message.buffer).setUint32(CONTEXT.length, port);
  message.set(challenge, CONTEXT.length + 4);
  return message;
}
