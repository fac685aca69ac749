import { readIfPresent } from "../../base/mod.ts";

const CONSOLES = "/var/log/qemubox/console.log";
const LINES_MAX = 20;

/** Returns the last lines in which guests reported a crash, to explain a failed measure. */
export function consoleEvidence(): string[] {
  const lines = readIfPresent(CONSOLES)?.split("\n") ?? [];
  return lines.filter((line) => /panic|died|Oops|BUG/.test(line)).slice(-LINES_MAX);
}
