/** `ctr`, containerd's command-line client, as a test drives it. */

import { patience } from "./wait.ts";

export const RUNTIME = "io.containerd.qemubox.v1";
export const BUSYBOX = "docker.io/library/busybox:latest";
/** As busybox, below twenty more layers; see scripts/lib/test_images.ts. */
export const LAYERS = "docker.io/library/layers:latest";
export const SNAPSHOTTERS = ["overlayfs", "erofs"] as const;
export type Snapshotter = typeof SNAPSHOTTERS[number];

/** A client that takes longer will never end. Four containers starting at once under TCG take 30 s. */
const ENDS_WITHIN_MS = patience(120_000);

/** How a client ended, and what it wrote. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The same bytes as `stdout`. */
  readonly output: Uint8Array;
}

/** What {@link runArguments} asks for. */
export interface ContainerOptions {
  readonly image?: string;
  readonly snapshotter?: Snapshotter | "native";
  /** Of `ctr run`: `--rm`, `-d`, `--env`, … */
  readonly flags?: readonly string[];
}

/** Runs `ctr` to its end, without standard input. */
export async function ctr(...args: readonly string[]): Promise<Ended> {
  return await new Client(args).ended;
}

/** `ctr`, which must end with 0; returns its standard output. */
export async function ctrOk(...args: readonly string[]): Promise<string> {
  return await new Client(args).output();
}

/** The arguments that run a container with our runtime. */
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

/** The flags that say what a container is in a pod, as containerd's CRI plugin says it by annotations. */
export function podFlags(pod: string, type: "sandbox" | "container"): string[] {
  const facts = { "container-type": type, "sandbox-id": pod };
  return Object.entries(facts).flatMap(([key, value]) => {
    return ["--annotation", `io.kubernetes.cri.${key}=${value}`];
  });
}

/** One line of `ctr task ls`. */
export interface TaskLine {
  readonly id: string;
  readonly pid: number;
  /** RUNNING, STOPPED, … */
  readonly status: string;
}

/** What `ctr task ls` says of a task; null when it does not know one. */
export async function task(id: string): Promise<TaskLine | null> {
  const lines = (await ctrOk("task", "ls")).split("\n").map((line) => line.trim().split(/\s+/));
  const line = lines.find((words) => words[0] === id);
  return line === undefined ? null : { id, pid: Number(line[1]), status: line[2] ?? "" };
}

/** A `ctr` that runs. Nobody needs to read what it writes for it to go on. */
export class Client implements AsyncDisposable {
  /** How it ended. Rejects when it does not end in time; it is killed then. */
  readonly ended: Promise<Ended>;
  readonly #what: string;
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array> | null;
  readonly #stdout: Collector;
  readonly #stderr: Collector;

  /**
   * @param options `input`: it gets a standard input, which the test writes and ends; `program`:
   * another `ctr`, or another client.
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
    // Whoever waits for it hears of a failure; nobody else has to.
    this.ended.catch(() => {});
  }

  /** Its standard output, once it has ended, with 0. @throws Error with what it complained of. */
  async output(): Promise<string> {
    const { code, stdout, stderr } = await this.ended;
    if (code !== 0) throw new Error(`${this.#what} ended with ${code}: ${stderr}`);
    return stdout;
  }

  /** Writes to its standard input; resolves once it is taken. */
  async write(data: string | Uint8Array): Promise<void> {
    await this.#input!.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /** Ends its standard input. */
  async endInput(): Promise<void> {
    await this.#input!.close();
  }

  /** Waits until it has written this whole line. @throws Error when it ends without. */
  async line(line: string): Promise<void> {
    const there = () => `\n${this.#stdout.text}`.includes(`\n${line}\n`);
    while (!there()) {
      if (await this.#stdout.more()) continue;
      const { code, stdout, stderr } = await this.ended;
      throw new Error(
        `${this.#what} ended with ${code} before it said ${JSON.stringify(line)}: ` +
          `stdout ${JSON.stringify(stdout)}, stderr ${JSON.stringify(stderr)}`,
      );
    }
  }

  /** What it has written until now. */
  get said(): string {
    return this.#stdout.text;
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Kills it if it still runs, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.ended.catch(() => {});
  }

  async #end(): Promise<Ended> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#process.kill("SIGKILL");
    }, ENDS_WITHIN_MS);
    const { code } = await this.#process.status;
    clearTimeout(timer);
    await Promise.all([this.#stdout.ended, this.#stderr.ended]);
    // The pipe is broken by now where it was not closed before.
    await this.#input?.close().catch(() => {});
    const [stdout, stderr] = [this.#stdout.text, this.#stderr.text];
    if (late) {
      const said = `stdout ${JSON.stringify(stdout.slice(-500))}, stderr ${JSON.stringify(stderr)}`;
      throw new Error(`${this.#what} did not end within ${ENDS_WITHIN_MS} ms: ${said}`);
    }
    return { code, stdout, stderr, output: this.#stdout.bytes };
  }
}

/** Takes everything that a stream gives. */
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
    const bytes = new Uint8Array(this.#chunks.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  get text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** Resolves when there is more than before: true; or when the stream has ended: false. */
  more(): Promise<boolean> {
    return this.#more.promise;
  }
}
