import { quoted } from "../../base/mod.ts";
import { type ExitStatus } from "../../ffi/mod.ts";
import { Code, parseOciJson, RpcError } from "../../proto/mod.ts";

/** Limit of crun's text in an error, in characters. */
const TEXT_CHARACTERS_MAX = 1_024;

/** crun's wording of errors that have a code of their own. All others are Unknown, as with runc. */
const MEANINGS: readonly {
  readonly pattern: RegExp;
  /** The verb that the meaning is limited to; any, if absent. */
  readonly verb?: string;
  readonly code: Code;
}[] = [
  {
    pattern: /executable file .*not found|open executable|execute .*:/i,
    code: Code.InvalidArgument,
  },
  // For any other verb this is an ESRCH inside crun, not the answer to the caller's question.
  { pattern: /no such process|process not running/i, verb: "kill", code: Code.NotFound },
  { pattern: /container .*does not exist/i, code: Code.NotFound },
];

/** Returns the error of a `crun <verb>` that exited with `exit` and wrote `log` (JSON records). */
export function crunError(verb: string, exit: ExitStatus, log: string): RpcError {
  const text = lastError(log);
  if (text === null) {
    const how = exit.signal === null ? `exit status ${exit.code}` : `signal ${exit.signal}`;
    return new RpcError(Code.Unknown, `crun ${verb} failed with ${how} and an empty log`);
  }
  const meaning = MEANINGS.find((one) =>
    (one.verb === undefined || one.verb === verb) && one.pattern.test(text)
  );
  const message = verb === "exec" ? inRuncsWords(text) : `crun ${verb}: ${text}`;
  return new RpcError(meaning?.code ?? Code.Unknown, message);
}

/** Clients, docker and nerdctl among them, recognize a missing command by runc's text. */
function inRuncsWords(text: string): string {
  const missing = /executable file `?(.*?)`? not found in \$PATH/.exec(text)?.[1];
  const why = missing === undefined
    ? text
    : `unable to start container process: exec: ${quoted(missing)}: ` +
      "executable file not found in $PATH";
  return `OCI runtime exec failed: exec failed: ${why}`;
}

/** Returns the exit code that shells give to a command that cannot be run. */
export function exitCodeOfFailure(error: unknown): number {
  return /not found|no such file/i.test(String(error)) ? 127 : 126;
}

/** crun writes each record as a JSON object over several lines; only its end is not indented. */
const RECORD_END = /(?<=^\})/m;

/** Returns the last error in crun's log, or null if there is none. */
export function lastError(log: string): string | null {
  let last: string | null = null;
  for (const record of log.split(RECORD_END)) {
    const entry = parseRecord(record.trim());
    if (entry !== null && entry.level !== "warning" && entry.level !== "debug") last = entry.msg;
  }
  return last === null ? null : last.slice(0, TEXT_CHARACTERS_MAX);
}

function parseRecord(text: string): { msg: string; level: string } | null {
  if (text === "") return null;
  try {
    const { msg, level } = parseOciJson(text) as { msg?: unknown; level?: unknown };
    if (typeof msg === "string") return { msg, level: String(level) };
  } catch {
    // The last record may be cut off, and a library may write text of its own.
  }
  return { msg: text, level: "unknown" };
}
