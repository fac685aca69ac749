import { endsWithin } from "../base/mod.ts";
import {
  type ExitStatus,
  type Fd,
  FdStream,
  type Pid,
  processStartTime,
  SIG,
  type SpawnCommand,
  type System,
} from "../ffi/mod.ts";
import {
  type CommandLine,
  type Confinement,
  dyingWithParent,
  type SpawnTools,
} from "./helper_commands.ts";
import { LastLine } from "./last_line.ts";

/** Bytes that a process may log; the rest is dropped. */
const LOG_BYTES_MAX = 64 * 1024;
/** How long the end of standard error may take to arrive after the process has exited. */
const STDERR_GRACE_MS = 200;
const READ_BYTES = 8 * 1024;

/** A process of a VM. It dies with this process, and when it is disposed of. */
export class VmProcess implements AsyncDisposable {
  readonly info: ProcessInfo;
  readonly exited: Promise<ExitStatus>;
  readonly #child: ChildLike;
  readonly #endGraceMs: number;
  readonly #whyKilled: () => string | null;
  readonly #stderr: FdStream;
  readonly #lastLine = new LastLine();
  readonly #stderrEnd: Promise<void>;

  private constructor(options: VmProcessOptions, child: ChildLike, stderr: FdStream) {
    const { role, log } = options;
    this.#endGraceMs = options.endGraceMs;
    this.#whyKilled = options.whyKilled;
    this.#child = child;
    this.#stderr = stderr;
    this.exited = child.exited.catch(() => lostStatus(child.pid));
    this.info = { role, pid: child.pid, startTime: processStartTime(child.pid) };
    this.#stderrEnd = this.#readStderr(log);
  }

  /** Spawns the process. @throws SystemError */
  static spawn(options: VmProcessOptions): VmProcess {
    const { vmName, command, tools, confinement, setprivOptions, system, stderr } = options;
    const { path, args } = dyingWithParent(command, tools, { confinement, setprivOptions });
    const stream = new FdStream(stderr.read, { system });
    let child: ChildLike;
    try {
      child = options.spawn({
        path,
        args: [...args],
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", QEMUBOX_VM: vmName },
        cwd: options.cwd,
        fds: { ...options.fds, 2: stderr.write },
        newSession: true,
      });
    } catch (error) {
      stream.close();
      throw error;
    }
    return new VmProcess(options, child, stream);
  }

  /** The last line on its standard error. */
  get lastLine(): string {
    return this.#lastLine.text;
  }

  /** Kills it, without waiting for its exit. */
  kill(): void {
    this.#child.kill(SIG.KILL);
  }

  /** Waits for its exit and returns "qemu exited with code 1: <last line of standard error>". */
  async describeExit(when = ""): Promise<string> {
    const status = await this.exited;
    await endsWithin(this.#stderrEnd, STDERR_GRACE_MS);
    const last = this.lastLine === "" ? "" : `: ${this.lastLine}`;
    const why = status.signal === SIG.KILL ? this.#whyKilled() : null;
    const because = why === null ? "" : ` (${why})`;
    return `${this.info.role} ${describeStatus(status)}${when}${because}${last}`;
  }

  /** Waits until it has exited, and kills it if it does not exit by itself in time. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#endGraceMs > 0) await endsWithin(this.exited, this.#endGraceMs);
    try {
      this.kill();
    } finally {
      await this.exited;
      this.#stderr.close();
      await this.#stderrEnd;
    }
  }

  async #readStderr(log: (line: string) => void): Promise<void> {
    const chunk = new Uint8Array(READ_BYTES);
    const decoder = new TextDecoder();
    let left = LOG_BYTES_MAX;
    try {
      for (;;) {
        const count = await this.#stderr.read(chunk);
        if (count === null) return;
        const bytes = chunk.subarray(0, count);
        this.#lastLine.push(bytes);
        if (left <= 0) continue;
        left -= count;
        const text = decoder.decode(bytes, { stream: true }).trimEnd();
        if (text !== "") log(`${this.info.role}: ${text}`);
      }
    } catch {
      // Only log lines are lost.
    }
  }
}

/** Something else reaped the child: all that is known is that it is gone. */
function lostStatus(pid: Pid): ExitStatus {
  return { pid, code: 255, signal: null, at: 0n };
}

/** Returns "exited with code 1" or "was killed by SIGKILL". Pure. */
function describeStatus({ code, signal }: Pick<ExitStatus, "code" | "signal">): string {
  if (signal === null) return `exited with code ${code}`;
  const name = Object.entries(SIG).find(([, number]) => number === signal)?.[0];
  return `was killed by ${name === undefined ? `signal ${signal}` : `SIG${name}`}`;
}

/** The part of a child process that VmProcess uses; ffi's Child has it. */
export interface ChildLike {
  readonly pid: Pid;
  readonly exited: Promise<ExitStatus>;
  kill(signal: number): void;
}

/** The part of a sandbox's lease that this directory writes. */
export interface Ledger {
  /** Records that something is about to be made; `what` says how to find it again. */
  intend(what: string): void;
  /** Records the processes that an intent became. */
  recordProcesses(
    intent: string | null,
    processes: readonly { readonly role: string; readonly pid: Pid }[],
  ): void;
}

/** A process. Its start time tells it from a later one with the same PID. */
export interface ProcessInfo {
  readonly role: string;
  readonly pid: Pid;
  /** Field 22 of /proc/PID/stat; null if the process was gone before that could be read. */
  readonly startTime: string | null;
}

/** A process to spawn, and what VmProcess uses for it. */
export interface VmProcessOptions {
  /** Name in messages: "qemu", "virtiofsd" or "vhost-device-vsock". */
  readonly role: string;
  /** QEMUBOX_VM in its environment, by which a stray process is found. */
  readonly vmName: string;
  readonly command: CommandLine;
  readonly tools: SpawnTools;
  /** Absent: it has all privileges of this process. */
  readonly confinement?: Confinement;
  /** Options of setpriv that confine it further. */
  readonly setprivOptions?: readonly string[];
  readonly cwd: string;
  /** Child number to descriptor of this process, which stays open. 2 is reserved. */
  readonly fds: Readonly<Record<number, Fd>>;
  /** Pipe for standard error. The VmProcess takes over the read end; the caller keeps the other. */
  readonly stderr: { readonly read: Fd; readonly write: Fd };
  readonly system: System;
  readonly spawn: (command: SpawnCommand) => ChildLike;
  readonly log: (line: string) => void;
  /** Says why this host has sent it SIGKILL; null: it does not know. */
  readonly whyKilled: () => string | null;
  /**
   * How long it may take to exit by itself after QEMU, in milliseconds; 0 if it does not. If
   * virtiofsd exits by itself, its sandbox is gone with it; if it is killed, the sandbox stays for
   * some milliseconds, in which the shared directory is still busy.
   */
  readonly endGraceMs: number;
}
