import type { DeadlineOptions } from "../base/mod.ts";

/**
 * Kinds of failure of a VM:
 * - `config`: the request cannot be met on any host;
 * - `not-found`: a required file does not exist;
 * - `host`: this host cannot do it (KVM required but absent, no context id left);
 * - `boot`: QEMU, a helper or the guest exited before the guest was ready;
 * - `timeout`: a deadline passed;
 * - `cancelled`: the caller gave up;
 * - `crashed`: the VM ended while it was in use;
 * - `protocol`: QEMU or a helper violated its protocol.
 */
export type VmErrorKind =
  | "config"
  | "not-found"
  | "host"
  | "boot"
  | "timeout"
  | "cancelled"
  | "crashed"
  | "protocol";

/** Any error of this directory other than a SystemError. Its message is one sentence. */
export class VmError extends Error {
  override readonly name = "VmError";
  readonly kind: VmErrorKind;

  constructor(kind: VmErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/**
 * Returns the errors of a `withDeadline`: VmError `timeout`, whose message `late` makes when the
 * deadline passes, and VmError `cancelled`.
 */
export function vmDeadline(
  late: () => string,
): Required<Pick<DeadlineOptions, "onTimeout" | "onAbort">> {
  return {
    onTimeout: () => new VmError("timeout", late()),
    onAbort: (cause) => new VmError("cancelled", "cancelled by the caller", { cause }),
  };
}
