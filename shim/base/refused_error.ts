/**
 * Error of the rooms below `task/` that names the refused thing, the reason and, if there is one,
 * the fix. `task/errors.ts` turns its kind into a status code; no other room makes an RpcError.
 */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly kind: RefusalKind;
  /** The refused thing: a field of the specification, a setting, or a path. */
  readonly field: string;
  /** The reason, as the predicate of a sentence about `field`. */
  readonly why: string;
  /** How to fix it. */
  readonly fix: string | undefined;

  constructor(kind: RefusalKind, field: string, why: string, fix?: string, options?: ErrorOptions) {
    super(fix === undefined ? `${field} ${why}` : `${field} ${why}: ${fix}`, options);
    this.kind = kind;
    this.field = field;
    this.why = why;
    this.fix = fix;
  }
}

/**
 * Why a request is refused:
 * - `invalid`: the request contradicts itself, or a value of it is malformed.
 * - `unsupported`: the value is well-formed, but the shim does not implement it.
 * - `host`: this host lacks something, or is in a state that does not allow it.
 * - `failed`: an operation on this host failed that should not.
 * - `timeout`: something on this host was not done in time.
 * - `aborted`: the host changed meanwhile; the request may succeed if it is repeated.
 */
export type RefusalKind =
  | "invalid"
  | "unsupported"
  | "host"
  | "failed"
  | "timeout"
  | "aborted";
