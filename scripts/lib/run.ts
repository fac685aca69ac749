/** Running other programs. */

/** How {@link run} runs. */
export interface RunOptions {
  readonly cwd?: string;
  /** Added to our own environment. */
  readonly env?: Record<string, string>;
  /** The program's whole output goes to this file; an error then quotes its end. */
  readonly logFile?: string;
  readonly signal?: AbortSignal;
}

/** A program that could not be started or did not end with 0. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  constructor(message: string, readonly code: number, readonly output: string) {
    super(message);
  }
}

const QUOTED_LINES_MAX = 25;

/**
 * Runs a program with no standard input and returns its standard output.
 * @throws {CommandError} if it ends with anything but 0; the message quotes what it said last.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program, ...args] = argv;
  if (options.logFile !== undefined) return await runLogged(argv, options.logFile, options);
  const { code, stdout, stderr } = await new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...only(options),
  }).output();
  const text = new TextDecoder();
  if (code !== 0) throw failure(argv, code, text.decode(stderr) + text.decode(stdout));
  return text.decode(stdout);
}

/** Output goes through a shell redirection: Deno.Command cannot write into a file by itself. */
async function runLogged(
  argv: readonly string[],
  logFile: string,
  options: RunOptions,
): Promise<string> {
  const { code } = await new Deno.Command("/bin/sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", logFile, ...argv],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
    ...only(options),
  }).output();
  const output = code === 0 ? "" : await Deno.readTextFile(logFile).catch(() => "");
  if (code !== 0) throw failure(argv, code, output);
  return "";
}

function failure(argv: readonly string[], code: number, output: string): CommandError {
  const lines = output.trimEnd().split("\n").slice(-QUOTED_LINES_MAX);
  return new CommandError(
    `${argv.slice(0, 3).join(" ")}… ended with ${code}\n${lines.map((l) => `  | ${l}`).join("\n")}`,
    code,
    output,
  );
}

function only({ cwd, env, signal }: RunOptions): Partial<Deno.CommandOptions> {
  return {
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** The path of a program on PATH (with the administrator's folders, which users often lack). */
export function which(program: string): string | null {
  const path = `${Deno.env.get("PATH") ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;
  for (const folder of path.split(":")) {
    try {
      const { isFile, mode } = Deno.statSync(`${folder}/${program}`);
      if (isFile && ((mode ?? 0) & 0o111) !== 0) return `${folder}/${program}`;
    } catch {
      // Not here.
    }
  }
  return null;
}
