import { MIB } from "../base/mod.ts";
import { Child } from "./child.ts";
import { O, SIG } from "./constants.ts";
import { system as realSystem } from "./real_system.ts";
import type { ExitStatus, Fd, Pid, System } from "./system.ts";
import { isSystemError, SystemError } from "./system_error.ts";

/** A program of the host that is run to its end. */
export interface Program {
  /** Looked for where it runs. */
  readonly path: () => string;
  /** Without argv[0], which is the path. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What it reads on standard input. */
  readonly input: string;
  /** How long it may take. Milliseconds. */
  readonly timeoutMs: number;
}

/** What running a program needs of its surroundings. */
export interface ProgramHost {
  readonly system?: System | undefined;
  /** Does something where the host's mounts are seen; default: here. */
  readonly onHost?: (<T>(work: () => T) => T) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a program ended, and what it wrote. */
export interface Execution {
  readonly status: ExitStatus;
  /** null: more than OUTPUT_BYTES_MAX. */
  readonly stdout: string | null;
  /** The first STDERR_BYTES_MAX of it. */
  readonly stderr: string;
  /** It was killed, because it took too long or was no longer wanted. */
  readonly late: boolean;
}

/** Most of what a program may write to standard output. */
export const OUTPUT_BYTES_MAX = MIB;
const STDERR_BYTES_MAX = 64 * 1024;

/**
 * Runs a program to its end, in a session of its own, which is killed as a whole when it takes too long:
 * it may have children.
 *
 * Input and output are files in memory: nobody has to feed or drain the program, and one that leaves
 * a daemon behind, which keeps its output open, does not hold us up.
 *
 * @throws {SystemError} when it cannot be started.
 */
export async function runProgram(program: Program, host: ProgramHost = {}): Promise<Execution> {
  const { system = realSystem, onHost = (work) => work() } = host;
  using files = new DisposableStack();
  const file = (name: string) => files.adopt(system.memfd(name), (fd) => system.close(fd));
  const written = file("stdin"), stdout = file("stdout"), stderr = file("stderr");
  writeAll(system, written, new TextEncoder().encode(program.input));
  // Opened anew, so that it is read from the beginning.
  const stdin = files.adopt(
    system.open(`/proc/self/fd/${written}`, O.RDONLY),
    (fd) => system.close(fd),
  );
  const child = onHost(() =>
    Child.spawn({
      path: program.path(),
      args: [...program.args],
      cwd: "/",
      env: program.env,
      fds: { 0: stdin, 1: stdout, 2: stderr },
      newSession: true,
    }, { system })
  );
  const deadline = AbortSignal.timeout(program.timeoutMs);
  const end = AbortSignal.any([deadline, ...(host.signal === undefined ? [] : [host.signal])]);
  const killAll = () => killSession(system, child.pid);
  end.addEventListener("abort", killAll, { once: true });
  try {
    const status = await child.exited;
    const output = readBeginning(system, stdout, OUTPUT_BYTES_MAX);
    return {
      status,
      stdout: output.isAll ? output.text : null,
      stderr: readBeginning(system, stderr, STDERR_BYTES_MAX).text,
      late: end.aborted,
    };
  } finally {
    end.removeEventListener("abort", killAll);
  }
}

/** The leader of a session is the leader of its first process group, whose id is its own. */
function killSession(system: System, leader: Pid): void {
  try {
    system.kill(-leader as Pid, SIG.KILL);
  } catch (error) {
    if (!isSystemError(error, "ESRCH")) throw error;
  }
}

function writeAll(system: System, fd: Fd, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const written = system.write(fd, bytes.subarray(done));
    if (written === null) throw new SystemError("write", "EAGAIN");
    done += written;
  }
}

/** At most the first `max` bytes. */
function readBeginning(system: System, fd: Fd, max: number): { text: string; isAll: boolean } {
  const bytes = new Uint8Array(max + 1);
  let length = 0;
  while (length < bytes.length) {
    const count = system.readAt(fd, bytes.subarray(length), length);
    if (count === 0) break;
    length += count;
  }
  const text = new TextDecoder().decode(bytes.subarray(0, Math.min(length, max)));
  return { text, isAll: length <= max };
}
