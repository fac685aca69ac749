/**
 * Why the task service refuses a call:
 * - `not-found`: there is no such container or process, or it has exited already. containerd takes
 *   this for "the task is gone".
 * - `already-exists`: the id is in use.
 * - `precondition`: the state does not allow the call.
 * - `invalid`: a value of the request is malformed.
 * - `unavailable`: the shim is exiting.
 */
export type TaskErrorKind =
  | "not-found"
  | "already-exists"
  | "precondition"
  | "invalid"
  | "unavailable";

/** Error of a call that the task service refuses. `errors.ts` turns its kind into a status code. */
export class TaskError extends Error {
  override readonly name = "TaskError";
  readonly kind: TaskErrorKind;

  constructor(kind: TaskErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}
