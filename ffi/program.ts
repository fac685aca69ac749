import { after, MIB } from "../base/mod.ts";
import { Child } from "./child.ts";
import { O, SIG } from "./constants.ts";
import { system as realSystem } from "./real_system.ts";
import type { ExitStatus, Fd, Pid, System } from "./system.ts";
import { isSystemError, SystemError } from "./system_error.ts";

/** A program of the host to run until it exits. */
export interface Program {
  /** Finds the program file. Called in the mount namespace that it will run in. */
  readonly path: () => string;
  /** Without argv[0], which is the path. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Standard input of the program. */
  readonly input: string;
  /** Time until it is killed, in milliseconds. */
  readonly timeoutMs: number;
}

/** Dependencies of {@link runProgram}. */
export interface ProgramHost {
  readonly system?: System | undefined;
  /** Runs `work` in the host's mount namespace; default: in the current one. */
  readonly onHost?: (<T>(work: () => T) => T) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Exit status and output of a program. */
export interface Execution {
  readonly status: ExitStatus;
  /** null if it was more than OUTPUT_BYTES_MAX. */
  readonly stdout: string | null;
  /** The first STDERR_BYTES_MAX bytes. */
  readonly stderr: string;
  /** Whether it was killed, by its timeout or the caller's signal. */
  readonly late: boolean;
}

/** Limit of a program's standard output. */
export const OUTPUT_BYTES_MAX = MIB;
const STDERR_BYTES_MAX = 64 * 1024;

/**
 * Runs a program until it exits. It gets its own session, so that a timeout kills its children too.
 *
 * Input and output are memfds: they need no reader or writer here, and a daemon that the program
 * leaves behind with its output open does not delay the result.
 *
 * @throws {SystemError} if it cannot be started.
 */
export async function runProgram(program: Program, host: ProgramHost = {}): Promise<Execution> {
  const { system = realSystem, onHost = (work) => work() } = host;
  using files = new DisposableStack();
  const file = (name: string) => files.adopt(system.memfd(name), (fd) => system.close(fd));
  const written = file("stdin"), stdout = file("stdout"), stderr = file("stderr");
  writeAll(system, written, new TextEncoder().encode(program.input));
  // A new open file starts at offset 0.
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
  let late = false;
  const killAll = () => {
    late = true;
    killSession(system, child.pid);
  };
  using _deadline = after(program.timeoutMs, killAll);
  if (host.signal?.aborted) killAll();
  host.signal?.addEventListener("abort", killAll, { once: true });
  try {
    const status = await child.exited;
    const output = readBeginning(system, stdout, OUTPUT_BYTES_MAX);
    return {
      status,
      stdout: output.isAll ? output.text : null,
      stderr: readBeginning(system, stderr, STDERR_BYTES_MAX).text,
      late,
    };
  } finally {
    host.signal?.removeEventListener("abort", killAll);
  }
}

/** Kills the process group of a session's leader, which has the leader's pid as its id. */
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

/** Reads at most the first `max` bytes. */
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
