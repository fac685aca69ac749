import assert from "node:assert/strict";
import { challengePeer, GuestSecret } from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import { authenticatedDial } from "./authenticated_dial.ts";

const secret = GuestSecret.random();
const { signal } = new AbortController();

Deno.test("a dial answers the guest's challenge", async () => {
  const [host, guest] = memoryPair();
  const dial = authenticatedDial(() => Promise.resolve(host), secret);
  const challenged = challengePeer(guest, 1026, Promise.resolve(secret));
  assert.equal(await dial(1026, { signal }), host);
  assert.equal(await challenged, true);
});

Deno.test("a guest that does not ask, or hangs up, costs a timeout and the connection", async () => {
  const [host, guest] = memoryPair();
  const dial = authenticatedDial(() => Promise.resolve(host), secret, 1);
  await assert.rejects(dial(1025, { signal }), { name: "GuestError", kind: "unanswered" });
  assert.equal(await guest.read(new Uint8Array(1)), null);
  const [closed, peer] = memoryPair();
  peer.close();
  const refused = authenticatedDial(() => Promise.resolve(closed), secret)(1025, { signal });
  await assert.rejects(refused, { name: "GuestError", kind: "refused" });
});

Deno.test("an aborted dial closes the connection", async () => {
  const [host, guest] = memoryPair();
  const controller = new AbortController();
  const dialed = authenticatedDial(() => Promise.resolve(host), secret)(1025, controller);
  controller.abort(new Error("enough"));
  await assert.rejects(dialed, /enough/);
  assert.equal(await guest.read(new Uint8Array(1)), null);
});
