/** Runs other programs. */

/** Options of {@link run}. */
export interface RunOptions {
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly env?: Record<string, string>;
  /** File for the program's output; an error quotes its end. */
  readonly logFile?: string;
  readonly signal?: AbortSignal;
}

/** Thrown when a program exits with anything but 0. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  constructor(message: string, readonly code: number, readonly output: string) {
    super(message);
  }
}

const QUOTED_LINES_MAX = 25;

/**
 * Runs a program without standard input and returns its standard output.
 *
 * @throws {CommandError} if it exits with anything but 0; the message quotes its last output
 * @throws {Deno.errors.NotFound} if there is no such program
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

/** Redirects the output by a shell: Deno.Command cannot write to a file. */
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
    `${argv.slice(0, 3).join(" ")}… exited with ${code}\n${
      lines.map((l) => `  | ${l}`).join("\n")
    }`,
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

/** Returns the path of a program on PATH and in the sbin directories, which users often lack. */
export function which(program: string): string | null {
  const path = `${Deno.env.get("PATH") ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;
  for (const directory of path.split(":")) {
    try {
      const { isFile, mode } = Deno.statSync(`${directory}/${program}`);
      if (isFile && ((mode ?? 0) & 0o111) !== 0) return `${directory}/${program}`;
    } catch {
      // Not in this directory.
    }
  }
  return null;
}
