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
import { type CommandLine, dyingWithParent } from "./helper_commands.ts";
import { LastLine } from "./last_line.ts";

/** A child process; ffi's Child is one. */
export interface ChildLike {
  readonly pid: Pid;
  readonly exited: Promise<ExitStatus>;
  kill(signal: number): void;
}

/** A sandbox's lease, as far as this folder writes to it. */
export interface Ledger {
  /** Something is about to be made; `what` says how to find it again. */
  intend(what: string): void;
  /** The processes that an intent became. */
  recordProcesses(
    intent: string | null,
    processes: readonly { readonly role: string; readonly pid: Pid }[],
  ): void;
}

/** A process, told apart from a later one with the same pid by its start time. */
export interface ProcessInfo {
  readonly role: string;
  readonly pid: Pid;
  /** Field 22 of /proc/PID/stat; null when it was gone before it could be asked for. */
  readonly startTime: string | null;
}

export interface VmProcessOptions {
  /** "qemu", "virtiofsd", "vhost-device-vsock": what messages call it. */
  readonly role: string;
  /** In its environment as QEMUBOX_VM, by which a stray one is found. */
  readonly vmName: string;
  readonly command: CommandLine;
  readonly setprivPath: string;
  readonly cwd: string;
  /** Child number to ours; ours stay open. 2 is taken. */
  readonly fds: Readonly<Record<number, Fd>>;
  /** A pipe for standard error: the reading end becomes the process's, the other stays yours. */
  readonly stderr: { readonly read: Fd; readonly write: Fd };
  readonly system: System;
  readonly spawn: (command: SpawnCommand) => ChildLike;
  readonly log: (line: string) => void;
  /**
   * How long it may take to end by itself once QEMU is gone. What virtiofsd has in its sandbox is
   * only gone with it when it ends so; killed, it leaves that behind for some milliseconds, in
   * which the shared folder is still busy. 0: it does not end by itself.
   */
  readonly endGraceMs: number;
}

/** What a process may log before the rest is dropped. */
const LOG_BYTES_MAX = 64 * 1024;
/** How long the end of standard error may lag behind the end of the process. */
const STDERR_GRACE_MS = 200;
const READ_BYTES = 8 * 1024;

/** A process of a machine. It dies with this process, and when it is disposed. */
export class VmProcess implements AsyncDisposable {
  readonly info: ProcessInfo;
  readonly exited: Promise<ExitStatus>;
  readonly #child: ChildLike;
  readonly #endGraceMs: number;
  readonly #stderr: FdStream;
  readonly #lastLine = new LastLine();
  readonly #stderrEnd: Promise<void>;

  private constructor(options: VmProcessOptions, child: ChildLike, stderr: FdStream) {
    const { role, log } = options;
    this.#endGraceMs = options.endGraceMs;
    this.#child = child;
    this.#stderr = stderr;
    this.exited = child.exited.catch(() => lostStatus(child.pid));
    this.info = { role, pid: child.pid, startTime: processStartTime(child.pid) };
    this.#stderrEnd = this.#readStderr(log);
  }

  /** @throws SystemError when it cannot be spawned. */
  static spawn(options: VmProcessOptions): VmProcess {
    const { vmName, command, setprivPath, system, stderr } = options;
    const { path, args } = dyingWithParent(command, setprivPath);
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

  /** What it last said on standard error. */
  get lastLine(): string {
    return this.#lastLine.text;
  }

  kill(): void {
    this.#child.kill(SIG.KILL);
  }

  /** "qemu exited with code 1: <what it last said>", once it has ended. */
  async describeExit(when = ""): Promise<string> {
    const status = await this.exited;
    await endsWithin(this.#stderrEnd, STDERR_GRACE_MS);
    const said = this.lastLine === "" ? "" : `: ${this.lastLine}`;
    return `${this.info.role} ${describeStatus(status)}${when}${said}`;
  }

  /** Waits until it is gone, to which it is killed if need be. */
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
      // Nothing is lost but words.
    }
  }
}

/** Somebody else reaped the child: it is gone, and that is all that can be known. */
function lostStatus(pid: Pid): ExitStatus {
  return { pid, code: 255, signal: null, at: 0n };
}

/** "exited with code 1" or "was killed by SIGKILL". Pure. */
export function describeStatus({ code, signal }: Pick<ExitStatus, "code" | "signal">): string {
  if (signal === null) return `exited with code ${code}`;
  const name = Object.entries(SIG).find(([, number]) => number === signal)?.[0];
  return `was killed by ${name === undefined ? `signal ${signal}` : `SIG${name}`}`;
}
