import assert from "node:assert/strict";
import { transition, type Transitions } from "./state_machine.ts";

type Door = { readonly kind: "open" } | { readonly kind: "locked"; readonly code: number };
type Act = { readonly kind: "lock"; readonly code: number } | { readonly kind: "unlock" };

const DOOR: Transitions<Door, Act> = {
  open: { lock: (_, { code }) => ({ kind: "locked", code }) },
  locked: {
    unlock: () => ({ kind: "open" }),
    lock: (state, { code }) => code === 0 ? state : null,
  },
};

Deno.test("transition returns the next state, or null for an illegal event", () => {
  const open: Door = { kind: "open" };
  const locked: Door = { kind: "locked", code: 7 };
  assert.deepEqual(transition(DOOR, open, { kind: "lock", code: 7 }), locked);
  assert.deepEqual(transition(DOOR, locked, { kind: "unlock" }), open);
  assert.equal(transition(DOOR, open, { kind: "unlock" }), null);
  assert.equal(transition(DOOR, locked, { kind: "lock", code: 8 }), null);
  assert.deepEqual(transition(DOOR, locked, { kind: "lock", code: 0 }), locked);
});
