import assert from "node:assert/strict";
import { transition, type Transitions } from "../../base/mod.ts";

/**
 * Asserts that each event leads from each state to the state that `legal` names for them, and is
 * illegal where it names none.
 */
export function assertTransitions<
  S extends { readonly kind: string },
  E extends { readonly kind: string },
>(
  table: Transitions<S, E>,
  { states, events, legal }: {
    readonly states: Readonly<Record<string, S>>;
    readonly events: Readonly<Record<string, E>>;
    /** By name of the state, then of the event: the name of the next state. */
    readonly legal: Readonly<Record<string, Readonly<Record<string, string>>>>;
  },
): void {
  for (const [stateName, state] of Object.entries(states)) {
    for (const [eventName, event] of Object.entries(events)) {
      const next = legal[stateName]?.[eventName];
      const expected = next === undefined ? null : states[next];
      assert.deepEqual(
        transition(table, state, event),
        expected,
        `${eventName} while ${stateName}`,
      );
    }
  }
}
