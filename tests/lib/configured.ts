/** Changes settings of qemubox for a test. */

import { readIfPresent } from "../../base/mod.ts";

const FILE = "/etc/qemubox/config.json";

/** Adds `settings` to the configuration file until the result is disposed. */
export function configured(settings: Readonly<Record<string, unknown>>): Disposable {
  const before = readIfPresent(FILE);
  Deno.mkdirSync("/etc/qemubox", { recursive: true });
  const whole = { ...JSON.parse(before ?? "{}"), ...settings };
  Deno.writeTextFileSync(FILE, JSON.stringify(whole));
  return {
    [Symbol.dispose]: () => {
      if (before === null) Deno.removeSync(FILE);
      else Deno.writeTextFileSync(FILE, before);
    },
  };
}

/** Returns the flags of `ctr run` that set annotations of qemubox. */
export function annotations(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [
    ...["--annotation", `io.qemubox.${name}=${value}`],
  ]);
}
