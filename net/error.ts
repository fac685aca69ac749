/** Where in the work on a network something failed. */
export type NetworkErrorKind =
  /** The configuration, an annotation or the specification: a person has to change it. */
  | "config"
  /** A plugin refused, crashed, or did not answer in time. */
  | "plugin"
  /** What a plugin said is not what the CNI specification has it say. */
  | "result"
  /** The host could not do it. */
  | "host";

/** Thrown by net/; the message names file, network or plugin, and how to mend it. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  readonly kind: NetworkErrorKind;

  constructor(kind: NetworkErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
