import assert from "node:assert/strict";
import type { Transitions } from "../../base/mod.ts";
import { Code } from "../../proto/mod.ts";
import { refused } from "../testing/task_guest.ts";
import { Lifecycle } from "./lifecycle.ts";

type Door = { readonly kind: "open" } | { readonly kind: "closed"; readonly by: string };
type DoorEvent = { readonly kind: "close"; readonly by: string } | { readonly kind: "open" };

const DOOR: Transitions<Door, DoorEvent> = {
  open: { close: (_, { by }) => ({ kind: "closed", by }) },
  closed: { open: () => ({ kind: "open" }) },
};
const door = () => new Lifecycle<Door, DoorEvent>(DOOR, 'door "d1"', { kind: "open" });

Deno.test("a legal event changes the state, requested or recorded", () => {
  const lifecycle = door();
  lifecycle.request({ kind: "close", by: "me" }, "close");
  assert.deepEqual(lifecycle.state, { kind: "closed", by: "me" });
  lifecycle.record({ kind: "open" });
  assert.deepEqual(lifecycle.state, { kind: "open" });
});

Deno.test("an illegal request is refused, an illegal record is a bug; neither changes the state", () => {
  const lifecycle = door();
  assert.throws(
    () => lifecycle.request({ kind: "open" }, "enter"),
    refused(Code.FailedPrecondition, /^cannot enter door "d1": it is open$/),
  );
  assert.throws(
    () => lifecycle.record({ kind: "open" }),
    { name: "Error", message: 'door "d1": open while open' },
  );
  assert.deepEqual(lifecycle.state, { kind: "open" });
});

Deno.test("require refuses all other states", () => {
  const lifecycle = door();
  lifecycle.require("enter", ["open"]);
  assert.throws(
    () => lifecycle.require("lock", ["closed"]),
    refused(Code.FailedPrecondition, /^cannot lock door "d1": it is open$/),
  );
  assert.match(lifecycle.refusal("enter", "on fire").message, /^cannot enter .*: it is on fire$/);
});
