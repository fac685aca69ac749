/** Returns the state after `event`, or null if the event is illegal in `state`. Pure. */
export function transition<S extends Kinded, E extends Kinded>(
  table: Transitions<S, E>,
  state: S,
  event: E,
): S | null {
  const row = table[state.kind as S["kind"]];
  const next = row[event.kind as E["kind"]] as ((state: S, event: E) => S | null) | undefined;
  return next?.(state, event) ?? null;
}

/**
 * Maps each state to its legal events, and those to functions that return the next state. An event
 * without an entry, or whose entry returns null, is illegal in that state.
 */
export type Transitions<S extends Kinded, E extends Kinded> = {
  readonly [K in S["kind"]]: {
    readonly [F in E["kind"]]?: (
      state: Extract<S, { readonly kind: K }>,
      event: Extract<E, { readonly kind: F }>,
    ) => S | null;
  };
};

/** A state or an event: a union of objects that `kind` discriminates. */
interface Kinded {
  readonly kind: string;
}
