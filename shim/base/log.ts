import { configureSync, getLogger, type LogRecord, type Sink } from "@logtape/logtape";
import { type Fd, O, system } from "../../ffi/mod.ts";
import type { SandboxName } from "./names.ts";

/** What the shim's parts log with. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** A log file that grows beyond this is moved to `NAME.1`, once, when a shim starts. */
const LOG_FILE_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Sets up logging of a serving shim: to `<logDir>/qemubox.log`, which all shims share, and to the
 * FIFO `log` in the bundle, which containerd copies into its own log.
 */
export function openLog(name: SandboxName, logDir: string, bundle: string, debug: boolean): Logger {
  const sinks: Record<string, Sink> = {};
  const file = openLogFile(logDir, "qemubox.log");
  if (file !== null) sinks["file"] = lineSink(file, name);
  const fifo = openForWriting(`${bundle}/log`, O.WRONLY | O.NONBLOCK);
  if (fifo !== null) sinks["containerd"] = lineSink(fifo, name);
  configureSync({
    sinks,
    loggers: [
      {
        category: ["qemubox"],
        lowestLevel: debug ? "debug" : "info",
        sinks: Object.keys(sinks),
      },
      { category: ["logtape", "meta"], lowestLevel: "error" },
    ],
  });
  const logger = getLogger(["qemubox"]);
  return {
    debug: (message) => logger.debug("{message}", { message }),
    info: (message) => logger.info("{message}", { message }),
    warn: (message) => logger.warn("{message}", { message }),
    error: (message) => logger.error("{message}", { message }),
  };
}

/** One line a record, as containerd's own logs look (logfmt). */
export function formatLine(record: LogRecord, name: SandboxName): string {
  const time = new Date(record.timestamp).toISOString();
  const message = String(record.properties["message"] ?? record.message.join(""));
  return `time="${time}" level=${record.level} msg=${JSON.stringify(message)} ` +
    `runtime=io.containerd.qemubox.v1 namespace=${name.namespace} id=${name.id}\n`;
}

function lineSink(fd: Fd, name: SandboxName): Sink {
  const encoder = new TextEncoder();
  return (record) => writeLine(fd, encoder.encode(formatLine(record, name)));
}

/** A log that nobody reads, or whose disk is full, must not stop the shim. */
function writeLine(fd: Fd, line: Uint8Array): void {
  try {
    system.write(fd, line);
  } catch {
    // There is nobody left to tell.
  }
}

/** Opens a shared log file for appending; null when that is not possible. */
export function openLogFile(logDir: string, file: string): Fd | null {
  const path = `${logDir}/${file}`;
  try {
    Deno.mkdirSync(logDir, { recursive: true, mode: 0o750 });
    if ((Deno.lstatSync(path).size ?? 0) > LOG_FILE_BYTES_MAX) Deno.renameSync(path, `${path}.1`);
  } catch {
    // No file yet; or the folder cannot be made, which opening the file shows.
  }
  return openForWriting(path, O.WRONLY | O.APPEND | O.CREAT);
}

function openForWriting(path: string, flags: number): Fd | null {
  try {
    return system.open(path, flags | O.NOFOLLOW, 0o640);
  } catch {
    return null;
  }
}
