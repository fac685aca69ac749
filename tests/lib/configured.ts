/** Settings of qemubox, for a test. */

const FILE = "/etc/qemubox/config.json";

/** Adds to the configuration file, as long as the scope lasts. */
export function configured(settings: Readonly<Record<string, unknown>>): Disposable {
  const before = readFile();
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

function readFile(): string | null {
  try {
    return Deno.readTextFileSync(FILE);
  } catch {
    return null;
  }
}

/** Flags of `ctr run`. */
export function annotations(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [
    ...["--annotation", `io.qemubox.${name}=${value}`],
  ]);
}
