/**
 * Command line of a shim: Go-style flags (`-id ID`, `--id=ID`) before one verb. See containerd's
 * docs/runtime-v2, "Command Line Flags".
 *
 * @module
 */
import { IDENTIFIER_CHARACTERS_MAX, isIdentifier, quoted } from "../../base/mod.ts";

/**
 * Parses the arguments after the program's name.
 *
 * @throws {UsageError} for an unknown flag or verb, and for a missing or invalid id or namespace.
 */
export function parseInvocation(args: readonly string[]): Invocation {
  const values: Record<string, string> = {};
  const switches = new Set<string>();
  let index = 0;
  for (; index < args.length; index++) {
    const argument = args[index]!;
    if (!argument.startsWith("-") || argument === "-") break;
    const [name, inline] = split(argument.replace(/^--?/, ""));
    if (SWITCHES.has(name)) {
      if (inline !== "false") switches.add(name);
    } else if (Object.hasOwn(VALUE_FLAGS, name)) {
      const value = inline ?? args[++index];
      if (value === undefined) throw new UsageError(`flag -${name} needs a value`);
      values[VALUE_FLAGS[name as keyof typeof VALUE_FLAGS]] = value;
    } else throw new UsageError(`unknown flag ${argument}`);
  }
  if (switches.has("v") || switches.has("version")) return { verb: "version" };
  if (switches.has("info")) return { verb: "info" };
  const verb = args[index];
  if (verb === undefined || !VERBS.has(verb)) {
    throw new UsageError(
      verb === undefined
        ? "no action given; containerd calls this program with start or delete"
        : `unknown action ${verb}; known are start, delete and check`,
    );
  }
  return {
    verb: verb as Verb,
    flags: {
      namespace: identifier("namespace", values["namespace"]),
      id: identifier("id", values["id"]),
      address: values["address"] ?? "",
      publishBinary: values["publishBinary"] ?? "",
      bundle: values["bundle"] ?? "",
      socket: values["socket"] ?? "",
      debug: switches.has("debug"),
    },
  };
}

/** `check` is for people; the others are called by containerd and by the shim itself. */
export type Verb = "start" | "delete" | "serve" | "check";

/** Flags that containerd passes; absent ones are empty. */
export interface Flags {
  readonly namespace: string;
  readonly id: string;
  /** containerd's gRPC socket. */
  readonly address: string;
  readonly publishBinary: string;
  /** Only of `delete`; elsewhere the working directory is the bundle. */
  readonly bundle: string;
  /** Only of `serve`: path of its listening socket. */
  readonly socket: string;
  readonly debug: boolean;
}

export type Invocation =
  | { readonly verb: Verb; readonly flags: Flags }
  | { readonly verb: "info" }
  | { readonly verb: "version" };

/** Error for an invalid command line; the message names the argument. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const VALUE_FLAGS = {
  namespace: "namespace",
  id: "id",
  address: "address",
  "publish-binary": "publishBinary",
  bundle: "bundle",
  socket: "socket",
  "debug-socket": "debugSocket",
} as const;
const SWITCHES = new Set(["debug", "v", "version", "info"]);
const VERBS: ReadonlySet<string> = new Set<Verb>(["start", "delete", "serve", "check"]);

function split(flag: string): [string, string | undefined] {
  const equals = flag.indexOf("=");
  return equals < 0 ? [flag, undefined] : [flag.slice(0, equals), flag.slice(equals + 1)];
}

/**
 * Checks a namespace or id before it becomes part of a path.
 *
 * @throws {UsageError} naming the flag.
 */
export function identifier(flag: string, value: string | undefined): string {
  if (!value) throw new UsageError(`flag -${flag} is required`);
  if (!isIdentifier(value)) {
    throw new UsageError(
      `${flag} ${quoted(value)} is not an identifier ` +
        `(letters, digits, single - . _ between them, at most ${IDENTIFIER_CHARACTERS_MAX})`,
    );
  }
  return value;
}
