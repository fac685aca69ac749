import assert from "node:assert/strict";
import { delay, poll } from "../../base/mod.ts";
import { poller, system } from "../../ffi/mod.ts";
import { GuestSecret } from "../../proto/mod.ts";
import { awaitSecret } from "./console_input.ts";

/** Runs a test with a terminal, whose slave has a path of its own. */
async function withTerminal(
  run: (console: { path: string; write(text: string): void; echo(): string }) => Promise<void>,
): Promise<void> {
  const { master, slave } = system.openTerminal();
  const into = new Uint8Array(256);
  try {
    await run({
      path: `/proc/self/fd/${slave}`,
      write: (text) => void system.write(master, new TextEncoder().encode(text)),
      echo: () => new TextDecoder().decode(into.subarray(0, system.read(master, into) ?? 0)),
    });
    await poller.idle();
  } finally {
    system.close(master);
    system.close(slave);
  }
}

Deno.test("the secret arrives in pieces, without an echo, and without what came before", () =>
  withTerminal(async ({ path, write, echo }) => {
    const secret = GuestSecret.random();
    const text = new TextDecoder().decode(secret.digits());
    write("junk");
    // The kernel echoes it when it has the time for it.
    let before = "";
    const isEchoed = () => (before += echo()) === "junk" || null;
    assert.ok(await poll(isEchoed, { everyMs: 1, timeoutMs: 10_000 }));
    const coming = awaitSecret(system, path);
    const received = coming.receive();
    write(text.slice(0, 10));
    await delay(5);
    write(text.slice(10));
    assert.deepEqual((await received).digits(), secret.digits());
    assert.equal(echo(), "");
  }));

Deno.test("anything else on the console is an error without its text", () =>
  withTerminal(async ({ path, write }) => {
    const coming = awaitSecret(system, path);
    write("x".repeat(64));
    await assert.rejects(coming.receive(), /^TypeError: secret must be 64 hexadecimal digits$/);
  }));

Deno.test("a console that is no terminal is an error", () => {
  assert.throws(() => awaitSecret(system, "/dev/null"), /ENOTTY/);
});
