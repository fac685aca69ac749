import type { DeadlineOptions } from "../base/mod.ts";

/**
 * What went wrong with a virtual machine:
 * - `config`: what was asked for cannot be had, whatever the host;
 * - `not-found`: a file that is needed is not there;
 * - `host`: this host cannot do it (forced KVM without KVM, no context id left);
 * - `boot`: QEMU, a helper or the guest ended before the guest was ready;
 * - `timeout`: a deadline passed;
 * - `cancelled`: the caller gave up;
 * - `crashed`: the machine ended while it was in use;
 * - `protocol`: QEMU or a helper said something that is not its protocol.
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

/** Every error of this folder that is not a SystemError. Its message is one sentence. */
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
