import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import * as fc from "fast-check";
import { memoryPair } from "../testing/memory_pair.ts";
import { isRpcError } from "../testing/is_rpc_error.ts";
import { Code } from "../rpc_error.ts";
import {
  ANSWER_BYTES,
  answerChallenge,
  CHALLENGE_BYTES,
  challengePeer,
  GuestSecret,
} from "./handshake.ts";

const PORT = 1025;
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

Deno.test("the answer is the HMAC of purpose, port and challenge", async () => {
  const secret = GuestSecret.random();
  const challenge = crypto.getRandomValues(new Uint8Array(CHALLENGE_BYTES));
  const key = Uint8Array.from(
    new TextDecoder().decode(secret.digits()).match(/../g)!,
    (byte) => parseInt(byte, 16),
  );
  const expected = createHmac("sha256", key).update("qemubox").update(Uint8Array.of(0, 0, 4, 1))
    .update(challenge).digest();
  assert.deepEqual(await secret.answer(PORT, challenge), new Uint8Array(expected));
});

Deno.test("the digits of a secret are the secret, and in no text of it", async () => {
  const secret = GuestSecret.random();
  const digits = new TextDecoder().decode(secret.digits());
  const same = GuestSecret.fromDigits(secret.digits());
  const challenge = new Uint8Array(CHALLENGE_BYTES);
  assert.deepEqual(await same.answer(1, challenge), await secret.answer(1, challenge));
  for (const text of [String(secret), JSON.stringify(secret), Deno.inspect(secret)]) {
    assert(!text.includes(digits), text);
  }
});

Deno.test("any bytes are a secret or a TypeError without them", () => {
  const isHex = (all: Uint8Array) =>
    all.length === 64 && /^[0-9a-f]*$/.test(String.fromCharCode(...all));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (digits) => {
    try {
      GuestSecret.fromDigits(digits);
      assert(isHex(digits));
    } catch (error) {
      assert(error instanceof TypeError);
      assert.equal(error.message, "secret must be 64 hexadecimal digits");
    }
  }));
});

Deno.test("a peer with the secret is admitted, and its next bytes are not touched", async () => {
  const secret = GuestSecret.random();
  const [host, guest] = memoryPair();
  const answered = answerChallenge(host, PORT, secret).then(() => host.write(Uint8Array.of(1, 2)));
  assert.equal(await challengePeer(guest, PORT, Promise.resolve(secret)), true);
  await answered;
  const next = new Uint8Array(8);
  assert.equal(await guest.read(next), 2);
  assert.deepEqual([...next.subarray(0, 2)], [1, 2]);
});

Deno.test("no other answer is accepted, however it is cut into pieces", async () => {
  const secret = GuestSecret.random();
  const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 4 });
  await fc.assert(fc.asyncProperty(pieces, async (pieces) => {
    const [host, guest] = memoryPair();
    const verdict = challengePeer(guest, PORT, Promise.resolve(secret)).catch((error) => error);
    for (const piece of pieces) await host.write(piece).catch(() => {});
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (length < ANSWER_BYTES) host.close();
    const result = await verdict;
    if (length > 0 && length < ANSWER_BYTES) isRpcError(Code.DataLoss, /cut off/)(result);
    else assert.equal(result, false);
  }));
});

Deno.test("an answer for another challenge, port or secret is wrong", async () => {
  await fc.assert(fc.asyncProperty(bytes(CHALLENGE_BYTES), async (challenge) => {
    const [secret, other] = [GuestSecret.random(), GuestSecret.random()];
    const right = await secret.answer(PORT, challenge) as Uint8Array<ArrayBuffer>;
    assert(await secret.isAnswer(PORT, challenge, right));
    assert(!await secret.isAnswer(PORT + 1, challenge, right));
    assert(!await other.isAnswer(PORT, challenge, right));
    assert(!await secret.isAnswer(PORT, challenge.map((byte) => byte ^ 1), right));
    assert(
      !await secret.isAnswer(PORT, challenge, right.map((byte, at) => at === 31 ? byte ^ 1 : byte)),
    );
  }));
});

Deno.test("a guest that closes, or sends half a challenge, is an error on the host", async () => {
  for (const sent of [0, CHALLENGE_BYTES - 1]) {
    const [host, guest] = memoryPair();
    if (sent > 0) await guest.write(new Uint8Array(sent));
    guest.close();
    const failed = answerChallenge(host, PORT, GuestSecret.random());
    await assert.rejects(failed, isRpcError(Code.DataLoss, /cut off|closed/));
  }
});
