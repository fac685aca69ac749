/** Drives `ctr`, containerd's command-line client. */

import { after } from "../../base/mod.ts";
import { concat } from "./bytes.ts";
import { killChild } from "./kill_child.ts";
import { patience } from "./wait.ts";

export const RUNTIME = "io.containerd.qemubox.v1";
export const BUSYBOX = "docker.io/library/busybox:latest";
/** busybox below twenty more layers; see scripts/lib/test_images.ts. */
export const LAYERS = "docker.io/library/layers:latest";
export const SNAPSHOTTERS = ["overlayfs", "erofs"] as const;
export type Snapshotter = typeof SNAPSHOTTERS[number];

/** A client that takes longer hangs. Four containers that start at once under TCG take 30 s. */
const ENDS_WITHIN_MS = patience(120_000);

/** Exit code and output of a client. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The same bytes as `stdout`. */
  readonly output: Uint8Array;
}

/** Options of {@link runArguments}. */
export interface ContainerOptions {
  readonly image?: string;
  readonly snapshotter?: Snapshotter | "native";
  /** Flags of `ctr run`: `--rm`, `-d`, `--env`, … */
  readonly flags?: readonly string[];
}

/** Runs `ctr` without standard input until it exits. */
export async function ctr(...args: readonly string[]): Promise<Ended> {
  return await new Client(args).ended;
}

/** Runs `ctr`, which must exit with 0. Returns its standard output. */
export async function ctrOk(...args: readonly string[]): Promise<string> {
  return await new Client(args).output();
}

/** Returns the arguments of `ctr` that run a container with our runtime. */
export function runArguments(
  id: string,
  command: readonly string[],
  { image = BUSYBOX, snapshotter = "overlayfs", flags = [] }: ContainerOptions = {},
): string[] {
  return [
    ...["run", "--runtime", RUNTIME, "--snapshotter", snapshotter, ...flags],
    ...[image, id, ...command],
  ];
}

/**
 * Returns flags with the annotations by which containerd's CRI plugin gives a container its pod.
 */
export function podFlags(pod: string, type: "sandbox" | "container"): string[] {
  const facts = { "container-type": type, "sandbox-id": pod };
  return Object.entries(facts).flatMap(([key, value]) => {
    return ["--annotation", `io.kubernetes.cri.${key}=${value}`];
  });
}

/** A line of `ctr task ls`. */
export interface TaskLine {
  readonly id: string;
  readonly pid: number;
  /** RUNNING, STOPPED, … */
  readonly status: string;
}

/** Returns the line of `ctr task ls` about a task, or null if there is none. */
export async function task(id: string): Promise<TaskLine | null> {
  const lines = (await ctrOk("task", "ls")).split("\n").map((line) => line.trim().split(/\s+/));
  const line = lines.find((words) => words[0] === id);
  return line === undefined ? null : { id, pid: Number(line[1]), status: line[2] ?? "" };
}

/** A running `ctr`. Its output is collected, so it never blocks on a full pipe. */
export class Client implements AsyncDisposable {
  /** Resolves when it exits. Rejects if it does not exit in time; it is killed then. */
  readonly ended: Promise<Ended>;
  readonly #what: string;
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array> | null;
  readonly #stdout: Collector;
  readonly #stderr: Collector;

  /**
   * @param options `input`: gives it a standard input, which the test writes and closes; `program`:
   * runs another `ctr`, or another client.
   */
  constructor(
    args: readonly string[],
    { input = false, program = "ctr" }: { input?: boolean; program?: string } = {},
  ) {
    this.#what = `${program.slice(program.lastIndexOf("/") + 1)} ${args.join(" ")}`;
    this.#process = new Deno.Command(program, {
      args: [...args],
      stdin: input ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = input ? this.#process.stdin.getWriter() : null;
    this.#stdout = new Collector(this.#process.stdout);
    this.#stderr = new Collector(this.#process.stderr);
    this.ended = this.#end();
    // Only a caller that awaits it has to see a failure.
    this.ended.catch(() => {});
  }

  /**
   * Resolves with its standard output when it exits with 0.
   *
   * @throws {Error} with its standard error otherwise.
   */
  async output(): Promise<string> {
    const { code, stdout, stderr } = await this.ended;
    if (code !== 0) throw new Error(`${this.#what} exited with ${code}: ${stderr}`);
    return stdout;
  }

  /** Writes to its standard input; resolves when all is written. */
  async write(data: string | Uint8Array): Promise<void> {
    await this.#input!.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /** Closes its standard input. */
  async endInput(): Promise<void> {
    await this.#input!.close();
  }

  /** Waits until it has printed this whole line. @throws {Error} if it exits without. */
  async line(line: string): Promise<void> {
    const there = () => `\n${this.#stdout.text}`.includes(`\n${line}\n`);
    while (!there()) {
      if (await this.#stdout.more()) continue;
      const { code, stdout, stderr } = await this.ended;
      throw new Error(
        `${this.#what} exited with ${code} before it printed ${JSON.stringify(line)}: ` +
          `stdout ${JSON.stringify(stdout)}, stderr ${JSON.stringify(stderr)}`,
      );
    }
  }

  /** Its standard output so far. */
  get said(): string {
    return this.#stdout.text;
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Kills it if it still runs, and waits until it has exited. */
  async [Symbol.asyncDispose](): Promise<void> {
    killChild(this.#process);
    await this.ended.catch(() => {});
  }

  async #end(): Promise<Ended> {
    let late = false;
    const kill = () => {
      late = true;
      this.#process.kill("SIGKILL");
    };
    const deadline = after(ENDS_WITHIN_MS, kill);
    const { code } = await this.#process.status;
    deadline[Symbol.dispose]();
    await Promise.all([this.#stdout.ended, this.#stderr.ended]);
    // By now the pipe is broken, unless it was closed before.
    await this.#input?.close().catch(() => {});
    const [stdout, stderr] = [this.#stdout.text, this.#stderr.text];
    if (late) {
      const said = `stdout ${JSON.stringify(stdout.slice(-500))}, stderr ${JSON.stringify(stderr)}`;
      throw new Error(`${this.#what} did not exit within ${ENDS_WITHIN_MS} ms: ${said}`);
    }
    return { code, stdout, stderr, output: this.#stdout.bytes };
  }
}

/** Collects everything that a stream delivers. */
class Collector {
  readonly ended: Promise<void>;
  readonly #chunks: Uint8Array[] = [];
  #more = Promise.withResolvers<boolean>();

  constructor(stream: ReadableStream<Uint8Array>) {
    this.ended = (async () => {
      for await (const chunk of stream) {
        this.#chunks.push(chunk);
        this.#more.resolve(true);
        this.#more = Promise.withResolvers();
      }
      this.#more.resolve(false);
    })();
  }

  get bytes(): Uint8Array {
    return concat(this.#chunks);
  }

  get text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** Resolves with true when there is more than before, with false when the stream has ended. */
  more(): Promise<boolean> {
    return this.#more.promise;
  }
}
