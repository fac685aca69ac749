import { type Console } from "../base/console.ts";

/** Longest account of a crash, in characters. */
const ACCOUNT_LENGTH_MAX = 2_000;

/**
 * Ends PID 1 with one line on the console. The kernel then panics ("Attempted to kill init!"),
 * `panic=-1` on its command line resets the machine at once, and QEMU, which runs with -no-reboot,
 * ends: the shim sees a crash instead of a guest that hangs.
 */
export function die(console: Console, reason: unknown, exit: (code: number) => never): never {
  const text = reason instanceof Error ? reason.stack ?? reason.message : String(reason);
  const account = text.replaceAll(/\s*\n\s*/g, " | ").slice(0, ACCOUNT_LENGTH_MAX);
  console.raw(`\nqemubox: vminitd died: ${account}\n`);
  return exit(1);
}

/** {@linkcode die}s at the first error that nobody handles. */
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
