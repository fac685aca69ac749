import assert from "node:assert/strict";
import { answerChallenge, CHALLENGE_BYTES, GuestSecret } from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import { Gate, type GateOptions } from "./gate.ts";

const PORT = 1025;
const secret = GuestSecret.random();

function gateWith(options: Partial<GateOptions> = {}): { gate: Gate; log: string[] } {
  const log: string[] = [];
  const gate = new Gate({
    ...{ name: "rpc", port: PORT, secret: Promise.resolve(secret), refusalDelayMs: 0 },
    console: { log: (line) => void log.push(line) },
    ...options,
  });
  return { gate, log };
}

/** Dials; `admitted` is the gate's verdict. */
function dial(gate: Gate) {
  const [host, guest] = memoryPair();
  return { host, admitted: gate.admits(guest) };
}

/** Reads to the end; returns the bytes. */
async function rest(host: ReturnType<typeof memoryPair>[0]): Promise<number> {
  const into = new Uint8Array(256);
  let all = 0;
  for (let count; (count = await host.read(into)) !== null;) all += count;
  return all;
}

Deno.test("a peer with the secret is admitted", async () => {
  const { gate, log } = gateWith();
  const { host, admitted } = dial(gate);
  await answerChallenge(host, PORT, secret);
  assert.equal(await admitted, true);
  assert.deepEqual([gate.refused, log], [0, []]);
});

Deno.test("a wrong answer gets the end and nothing else, and is counted", async () => {
  const { gate, log } = gateWith();
  const { host, admitted } = dial(gate);
  await answerChallenge(host, PORT, GuestSecret.random());
  assert.equal(await admitted, false);
  assert.equal(await rest(host), 0);
  assert.equal(gate.refused, 1);
  assert.match(log[0]!, /^rpc: refused connection 1 without the secret/);
});

Deno.test("the answer of an earlier connection is wrong", async () => {
  const { gate } = gateWith();
  const first = dial(gate);
  const challenge = new Uint8Array(CHALLENGE_BYTES);
  await first.host.read(challenge);
  const answer = await secret.answer(PORT, challenge);
  await first.host.write(answer);
  assert.equal(await first.admitted, true);
  const second = dial(gate);
  await second.host.write(answer);
  assert.equal(await second.admitted, false);
});

Deno.test("a peer that does not answer is closed at the deadline", async () => {
  const { gate } = gateWith({ answerTimeoutMs: 1 });
  const { host, admitted } = dial(gate);
  assert.equal(await admitted, false);
  assert.equal(await rest(host), CHALLENGE_BYTES);
});

Deno.test("a wrong answer delays its own close, at most to the deadline, and no other peer", async () => {
  const { gate } = gateWith({ refusalDelayMs: 60_000, answerTimeoutMs: 500 });
  const wrong = dial(gate);
  await wrong.host.read(new Uint8Array(CHALLENGE_BYTES));
  await wrong.host.write(new Uint8Array(32));
  const right = dial(gate);
  await answerChallenge(right.host, PORT, secret);
  const first = await Promise.race([
    wrong.admitted.then(() => "wrong"),
    right.admitted.then(() => "right"),
  ]);
  assert.equal(first, "right");
  assert.equal(await wrong.admitted, false);
});

Deno.test("a flood closes its own oldest connections, and the shim is admitted", async () => {
  const { gate, log } = gateWith({ pendingMax: 8 });
  const flood = Array.from({ length: 500 }, () => dial(gate));
  const shim = dial(gate);
  await answerChallenge(shim.host, PORT, secret);
  assert.equal(await shim.admitted, true);
  for (const { host, admitted } of flood.slice(0, -7)) {
    assert.equal(await admitted, false);
    await rest(host);
  }
  assert.equal(gate.refused, 493);
  assert.deepEqual(log.map((line) => /connection (\d+)/.exec(line)![1]), ["1", "10", "100"]);
  for (const { host } of flood) host.close();
  await Promise.all(flood.map(({ admitted }) => admitted));
  assert.equal(gate.refused, 500);
});

Deno.test("an answer that overtakes the secret waits for it", async () => {
  const late = Promise.withResolvers<GuestSecret>();
  const { gate } = gateWith({ secret: late.promise });
  const { host, admitted } = dial(gate);
  await answerChallenge(host, PORT, secret);
  late.resolve(secret);
  assert.equal(await admitted, true);
});
