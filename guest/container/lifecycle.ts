import { transition, type Transitions } from "../../base/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";

/**
 * The state of a container or an exec process, and the one answer to an illegal transition: a
 * caller's request is refused, and an event that cannot have happened is a bug of vminitd's.
 */
export class Lifecycle<S extends Kinded, E extends Kinded> {
  readonly #table: Transitions<S, E>;
  readonly #name: string;
  #state: S;

  /** @param name of the thing in errors: `container "c1"` */
  constructor(table: Transitions<S, E>, name: string, initial: S) {
    this.#table = table;
    this.#name = name;
    this.#state = initial;
  }

  get state(): S {
    return this.#state;
  }

  /**
   * Makes the transition that a caller asks for by `call`.
   *
   * @throws {RpcError} FailedPrecondition: `event` is illegal in this state
   */
  request(event: E, call: string): void {
    const next = transition(this.#table, this.#state, event);
    if (next === null) throw this.refusal(call);
    this.#state = next;
  }

  /**
   * Records an event that has happened.
   *
   * @throws {Error} `event` is illegal in this state
   */
  record(event: E): void {
    const next = transition(this.#table, this.#state, event);
    if (next === null) throw new Error(`${this.#name}: ${event.kind} while ${this.#state.kind}`);
    this.#state = next;
  }

  /**
   * Refuses `call` in all other states.
   *
   * @throws {RpcError} FailedPrecondition
   */
  require(call: string, kinds: readonly S["kind"][]): void {
    if (!kinds.includes(this.#state.kind)) throw this.refusal(call);
  }

  /** Returns the error of a `call` that the state, or something else that it `is`, forbids. */
  refusal(call: string, is: string = this.#state.kind): RpcError {
    return new RpcError(Code.FailedPrecondition, `cannot ${call} ${this.#name}: it is ${is}`);
  }
}

interface Kinded {
  readonly kind: string;
}
