import {
  configureSync,
  getLogger,
  type Logger as ContextLogger,
  type LogRecord,
  type Sink,
} from "@logtape/logtape";
import { type Fd, O, system } from "../../ffi/mod.ts";
import type { SandboxName } from "./names.ts";

/** Log of the shim. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/**
 * Values of a log line that are worth searching for, by logfmt key: `exec`, `container`, `stream`,
 * `step`, `ms`, `pid`. Keys are lower-case words joined by underscores.
 */
export type LogFields = Readonly<Record<string, string | number | bigint | boolean>>;

/** A log file larger than this is moved to `NAME.1` when a shim starts. */
const LOG_FILE_BYTES_MAX = 16 * 1024 * 1024;
const KEY = /^[a-z]+(_[a-z]+)*$/;
/** Keys that a line has already. */
const RESERVED_KEYS: ReadonlySet<string> = new Set([
  "time",
  "level",
  "msg",
  "runtime",
  "namespace",
  "id",
]);

/**
 * Sets up logging of a serving shim: to `<logDir>/qemubox.log`, which all shims share, and to the
 * FIFO `log` in the bundle, which containerd copies into its own log.
 */
export function openLog(name: SandboxName, logDir: string, bundle: string, debug: boolean): Logger {
  const sinks: Record<string, Sink> = {};
  const file = openLogFile(logDir, "qemubox.log");
  if (file !== null) sinks["file"] = lineSink(file);
  const fifo = openForWriting(`${bundle}/log`, O.WRONLY | O.NONBLOCK);
  if (fifo !== null) sinks["containerd"] = lineSink(fifo);
  return loggerTo(sinks, name, debug);
}

/** Returns a logger of one sandbox whose records go to `sinks`. */
export function loggerTo(sinks: Record<string, Sink>, name: SandboxName, debug: boolean): Logger {
  configureSync({
    reset: true,
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
  const { namespace, id } = name;
  const bound = getLogger(["qemubox"]).with({ namespace, id });
  return {
    debug: (message, fields) => logger(bound, fields).debug`${message}`,
    info: (message, fields) => logger(bound, fields).info`${message}`,
    warn: (message, fields) => logger(bound, fields).warn`${message}`,
    error: (message, fields) => logger(bound, fields).error`${message}`,
  };
}

/** Returns a logger whose lines have `fields` before their own. */
export function withFields(log: Logger, fields: LogFields): Logger {
  return {
    debug: (message, more) => log.debug(message, { ...fields, ...more }),
    info: (message, more) => log.info(message, { ...fields, ...more }),
    warn: (message, more) => log.warn(message, { ...fields, ...more }),
    error: (message, more) => log.error(message, { ...fields, ...more }),
  };
}

/**
 * Adds the fields of one record to the context.
 *
 * @throws {TypeError} for an invalid key, or one that a line has already.
 */
function logger(bound: ContextLogger, fields: LogFields | undefined): ContextLogger {
  if (fields === undefined) return bound;
  requireLogKeys(fields);
  return bound.with(fields);
}

/** @throws {TypeError} for an invalid key, or one that a line has already. */
export function requireLogKeys(fields: LogFields): void {
  for (const key of Object.keys(fields)) {
    if (!KEY.test(key) || RESERVED_KEYS.has(key)) throw new TypeError(`invalid log key "${key}"`);
  }
}

/** Formats a record as one line of logfmt, as containerd's own logs look. */
export function formatLine({ timestamp, level, message, properties }: LogRecord): string {
  const { namespace, id, ...fields } = properties;
  const pairs: [string, unknown][] = [
    ["level", level],
    ["msg", quotedText(message.join(""))],
    ["runtime", "io.containerd.qemubox.v1"],
    ["namespace", namespace],
    ["id", id],
    ...Object.entries(fields).map(([key, value]): [string, string] => [key, valueText(value)]),
  ];
  return [
    `time="${new Date(timestamp).toISOString()}"`,
    ...pairs.map(([key, value]) => `${key}=${value}`),
  ].join(" ") + "\n";
}

/** Returns a value as it is if it is one logfmt word, else quoted. */
function valueText(value: unknown): string {
  const text = String(value);
  return /^[\w./:@%+-]+$/.test(text) ? text : quotedText(text);
}

/**
 * Returns `text` as a JSON string of printable characters only: messages hold text of the guest.
 */
function quotedText(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (characters) =>
      Array.from(
        { length: characters.length },
        (_, index) => `\\u${characters.charCodeAt(index).toString(16).padStart(4, "0")}`,
      ).join(""),
  );
}

function lineSink(fd: Fd): Sink {
  const encoder = new TextEncoder();
  return (record) => writeLine(fd, encoder.encode(formatLine(record)));
}

/** A log without a reader, or on a full disk, must not stop the shim. */
function writeLine(fd: Fd, line: Uint8Array): void {
  try {
    system.write(fd, line);
  } catch {
    // There is no other place to report it.
  }
}

/** Opens a shared log file for appending; returns null if that fails. */
export function openLogFile(logDir: string, file: string): Fd | null {
  const path = `${logDir}/${file}`;
  try {
    Deno.mkdirSync(logDir, { recursive: true, mode: 0o750 });
    if ((Deno.lstatSync(path).size ?? 0) > LOG_FILE_BYTES_MAX) Deno.renameSync(path, `${path}.1`);
  } catch {
    // No file yet; or the directory cannot be made, and opening the file fails below.
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
