import { oneLine } from "../../base/mod.ts";
import { type Console } from "../base/console.ts";

/** Limit of the account of a crash, in characters. */
const ACCOUNT_CHARACTERS_MAX = 2_000;

/**
 * Exits PID 1 after one line on the console. The kernel then panics ("Attempted to kill init!"),
 * `panic=-1` on its command line resets the VM at once, and QEMU, which runs with -no-reboot,
 * exits: the shim sees a crash instead of a guest that hangs.
 */
export function die(console: Console, reason: unknown, exit: (code: number) => never): never {
  const text = reason instanceof Error ? reason.stack ?? reason.message : String(reason);
  console.raw(`\nqemubox: vminitd died: ${oneLine(text, ACCOUNT_CHARACTERS_MAX)}\n`);
  return exit(1);
}

/** Calls {@linkcode die} at the first unhandled error or rejection. */
export function dieOnUncaughtErrors(console: Console, exit: (code: number) => never): void {
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    die(console, event.error, exit);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    die(console, event.reason, exit);
  });
}
