/** vminitd serves the shim that has its secret, and nobody else. */

import assert from "node:assert/strict";
import type { FdStream } from "../../ffi/mod.ts";
import {
  CHALLENGE_BYTES,
  GUEST_RPC_PORT,
  GUEST_STREAM_PORT,
  GuestSecret,
} from "../../proto/mod.ts";
import { IN_TESTBED } from "../lib/environment.ts";
import { patience, until } from "../lib/wait.ts";
import { dialAs, Machine } from "./machine.ts";

const PORTS = [GUEST_RPC_PORT, GUEST_STREAM_PORT];
/** Connections to both ports; a gate holds 64 (guest/base/gate.ts). */
const FLOOD = 200;

Deno.test({
  name: "a guest and a peer without its secret",
  ignore: !IN_TESTBED,
  fn: async (t) => {
    await using machine = await Machine.boot();
    await t.step("the secret is not on the console", () => {
      assert(machine.console().includes("vminitd ready"));
      assert(!machine.console().includes(machine.secretText.slice(0, 8)));
    });
    await t.step("a wrong answer gets the end and nothing else", () => wrongAnswers(machine));
    await t.step("requests instead of an answer get the end and nothing else", async () => {
      for (const port of PORTS) {
        using stream = await machine.vm.dialGuest(port);
        await stream.write(new TextEncoder().encode(`${"\0".repeat(200)}Pids`));
        assert.equal(await readToEnd(stream), CHALLENGE_BYTES);
      }
    });
    await t.step("an answer heard before is wrong for another connection", () => replay(machine));
    await t.step("a flood of connections keeps nobody else out", () => flood(machine));
    await t.step("refusals are counted", async () => {
      await until("a line about the hundredth", patience(30_000), () => {
        return /rpc: refused connection 100 /.exec(machine.console());
      });
    });
    await t.step("the shim goes on", async () => {
      await machine.system.configure({});
      assert.equal((await machine.run("c", ["echo", "on"])).code, 0);
    });
  },
});

async function wrongAnswers(machine: Machine): Promise<void> {
  for (const port of PORTS) {
    using stream = await dialAs(machine.vm, port, GuestSecret.random());
    assert.equal(await readToEnd(stream), 0);
  }
}

async function replay(machine: Machine): Promise<void> {
  using first = await machine.vm.dialGuest(GUEST_STREAM_PORT);
  using second = await machine.vm.dialGuest(GUEST_STREAM_PORT);
  const answer = await machine.answer(GUEST_STREAM_PORT, await challengeOf(first));
  await challengeOf(second);
  await second.write(answer);
  assert.equal(await readToEnd(second), 0);
}

async function challengeOf(stream: FdStream): Promise<Uint8Array> {
  const challenge = new Uint8Array(CHALLENGE_BYTES);
  for (let filled = 0; filled < challenge.length;) {
    filled += await stream.read(challenge.subarray(filled)) ?? assert.fail("no challenge");
  }
  return challenge;
}

async function flood(machine: Machine): Promise<void> {
  await using open = new AsyncDisposableStack();
  for (let count = 0; count < FLOOD; count++) {
    open.use(await machine.vm.dialGuest(PORTS[count % 2]!));
  }
  assert.equal((await machine.run("f", ["echo", "through"])).code, 0);
}

/** Returns the number of bytes that a connection delivers to its end. */
async function readToEnd(stream: FdStream): Promise<number> {
  const into = new Uint8Array(1024);
  let all = 0;
  for (let count; (count = await stream.read(into)) !== null;) all += count;
  return all;
}
