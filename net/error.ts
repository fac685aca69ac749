/** Kinds of failure of a network. */
export type NetworkErrorKind =
  /** The configuration, an annotation or the specification is wrong: a person must change it. */
  | "config"
  /** A plugin refused, crashed, or did not answer in time. */
  | "plugin"
  /** A plugin's result violates the CNI specification. */
  | "result"
  /** The host failed. */
  | "host";

/** An error of this directory. Its message names the file, network or plugin, and the fix. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  readonly kind: NetworkErrorKind;

  constructor(kind: NetworkErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
