const CONSOLES = "/var/log/qemubox/console.log";
const LINES_MAX = 20;

/** What guests last said of their own end; for whoever reads that a measure failed. */
export function consoleEvidence(): string[] {
  try {
    const lines = Deno.readTextFileSync(CONSOLES).split("\n");
    return lines.filter((line) => /panic|died|Oops|BUG/.test(line)).slice(-LINES_MAX);
  } catch {
    return []; // No guest has written one.
  }
}
