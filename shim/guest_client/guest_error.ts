import { type Code, RpcError } from "../../proto/mod.ts";

/**
 * Error of a call into the guest. `task/errors.ts` turns its kind into a status code. Its message
 * may hold text of a hostile guest: neither bounded nor printable.
 */
export class GuestError extends Error {
  override readonly name = "GuestError";
  readonly kind: GuestErrorKind;
  /** Code of the guest's RPC status if `kind` is `refused`, else null. */
  readonly code: Code | null;

  private constructor(kind: GuestErrorKind, message: string, code: Code | null, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.code = code;
  }

  /** @param call names the call, as the object of "guest did not answer". */
  static unanswered(call: string, timeoutMs: number): GuestError {
    const message = `guest did not answer ${call} within ${timeoutMs / 1000} s`;
    return new GuestError("unanswered", message, null);
  }

  static hostile(message: string, cause?: unknown): GuestError {
    return new GuestError("hostile", message, null, cause);
  }

  static refused(code: Code, message: string, cause?: unknown): GuestError {
    return new GuestError("refused", message, code, cause);
  }
}

/**
 * Failure of a call into the guest:
 * - `unanswered`: it did not answer in time.
 * - `hostile`: it sent something that a guest of ours never sends.
 * - `refused`: it answered with an error, the connection to it is lost, or the caller canceled.
 */
export type GuestErrorKind = "unanswered" | "hostile" | "refused";

/** Returns an RpcError as a `refused` GuestError, with its code and message; others as they are. */
export function refusedByGuest(error: unknown): unknown {
  if (!(error instanceof RpcError)) return error;
  return GuestError.refused(error.code, error.message, error);
}
