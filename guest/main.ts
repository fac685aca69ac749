import { system } from "../ffi/mod.ts";
import { openConsole } from "./base/console.ts";
import { die, dieOnUncaughtErrors } from "./system/crash.ts";
import { vminitd } from "./vminitd.ts";

/**
 * PID 1 in the microVM. An error that reaches this ends the VM. Any other process only loads this
 * module: the build does, for V8's code cache.
 */
if (import.meta.main && Deno.pid === 1) {
  const console = openConsole(system);
  dieOnUncaughtErrors(console, Deno.exit);
  await vminitd(system, console).catch((error) => die(console, error, Deno.exit));
}
