import { type ExitStatus } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { quoted } from "../base/ids.ts";

/** Longest text of crun's that goes into an error, in characters. */
const TEXT_LENGTH_MAX = 1_024;

/** How crun words what has a meaning of its own to the caller. */
const MEANINGS: readonly { readonly pattern: RegExp; readonly code: Code }[] = [
  {
    pattern: /executable file .*not found|open executable|execute .*:/i,
    code: Code.InvalidArgument,
  },
  { pattern: /no such process|process not running/i, code: Code.NotFound },
  { pattern: /container .*does not exist/i, code: Code.NotFound },
];

/** The RPC error for a `crun <verb>` that ended with `end`, having written `log` (JSON records). */
export function crunError(verb: string, end: ExitStatus, log: string): RpcError {
  const text = lastError(log);
  if (text === null) {
    const how = end.signal === null ? `exit status ${end.code}` : `signal ${end.signal}`;
    return new RpcError(Code.Unknown, `crun ${verb} failed with ${how} and said nothing`);
  }
  const meaning = MEANINGS.find(({ pattern }) => pattern.test(text));
  const message = verb === "exec" ? inRuncsWords(text) : `crun ${verb}: ${text}`;
  return new RpcError(meaning?.code ?? Code.Unknown, message);
}

/** Clients tell a missing command by runc's text, docker and nerdctl among them. */
function inRuncsWords(text: string): string {
  const missing = /executable file `?(.*?)`? not found in \$PATH/.exec(text)?.[1];
  const why = missing === undefined
    ? text
    : `unable to start container process: exec: ${quoted(missing)}: ` +
      "executable file not found in $PATH";
  return `OCI runtime exec failed: exec failed: ${why}`;
}

/** The exit code that shells have for a command that cannot be run. */
export function exitCodeOfFailure(error: unknown): number {
  return /not found|no such file/i.test(String(error)) ? 127 : 126;
}

/** crun writes each record as a JSON object over several lines; only its end has no indentation. */
const RECORD_END = /(?<=^\})/m;

/** The last error in crun's log, null when there is none. */
export function lastError(log: string): string | null {
  let last: string | null = null;
  for (const record of log.split(RECORD_END)) {
    const entry = parseRecord(record.trim());
    if (entry !== null && entry.level !== "warning" && entry.level !== "debug") last = entry.msg;
  }
  return last === null ? null : last.slice(0, TEXT_LENGTH_MAX);
}

function parseRecord(text: string): { msg: string; level: string } | null {
  if (text === "") return null;
  try {
    const { msg, level } = JSON.parse(text) as { msg?: unknown; level?: unknown };
    if (typeof msg === "string") return { msg, level: String(level) };
  } catch {
    // The last record may be cut off, and a library may write its own.
  }
  return { msg: text, level: "unknown" };
}
