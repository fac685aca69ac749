/** Containers under a shim, with clients at their FIFOs. */

import { system } from "../../ffi/mod.ts";
import { type Any, AnySchema, cgroups, create, unpackAny } from "../../proto/mod.ts";
import { concat } from "../lib/bytes.ts";
import { killChild } from "../lib/kill_child.ts";
import { patience, within } from "../lib/wait.ts";
import { makeBundle, processSpec, type SpecOptions } from "./bundle.ts";
import { type CreateInit, type Host, IS_OURS, Shim } from "./shim.ts";

/** How long a process may take on a busy host under TCG. */
const RUNS_WITHIN_MS = patience(90_000);

/** Which streams a process has; none by default. */
export interface Streams {
  readonly stdin?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
}

/**
 * Returns the streams that the shim under test accepts. Without a terminal containerd's own shim
 * opens both outputs or none, and fails on an empty path. Ours takes each by itself.
 */
function asTaken({ stdin, stdout, stderr }: Streams): Streams {
  const outputs = Boolean(stdout) || Boolean(stderr);
  return IS_OURS ? { stdin, stdout, stderr } : { stdin, stdout: outputs, stderr: outputs };
}

/** FIFOs of a process, with a client at each. */
export class Stdio implements AsyncDisposable {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Resolve with everything that was written, when the stream has ended. */
  readonly output: Promise<Uint8Array>;
  readonly errors: Promise<string>;
  /** Chunks of stdout so far. */
  readonly #seen: Uint8Array[] = [];
  #more = Promise.withResolvers<void>();
  readonly #readers: Deno.ChildProcess[] = [];
  readonly #writers: Writer[] = [];

  constructor(folder: string, name: string, terminal: boolean, streams: Streams) {
    const { stdin, stdout, stderr } = terminal ? streams : asTaken(streams);
    const fifo = (kind: string) => {
      const path = `${folder}/${name}-${kind}`;
      system.mkfifo(path, 0o600);
      return path;
    };
    this.stdin = stdin ? fifo("stdin") : "";
    this.stdout = stdout ? fifo("stdout") : "";
    this.stderr = stderr ? fifo("stderr") : "";
    this.output = this.#read(this.stdout, this.#seen);
    this.errors = this.#read(this.stderr, []).then((bytes) => new TextDecoder().decode(bytes));
  }

  /** The text of stdout so far. */
  get text(): string {
    return new TextDecoder().decode(concat(this.#seen));
  }

  /** Waits until stdout contains or matches `text`. */
  async shows(text: string | RegExp): Promise<void> {
    const isThere = () =>
      typeof text === "string" ? this.text.includes(text) : text.test(this.text);
    const wait = async () => {
      while (!isThere()) await this.#more.promise;
    };
    await within(`${text} on stdout`, RUNS_WITHIN_MS, wait()).catch((error) => {
      throw new Error(`${error.message}; there was ${JSON.stringify(this.text)}`);
    });
  }

  /** Starts a client that writes to stdin; there may be several, one after the other. */
  writer(): Writer {
    const writer = new Writer(this.stdin);
    this.#writers.push(writer);
    return writer;
  }

  /** The client at stdout, for tests that stop and continue it. */
  get reader(): Deno.ChildProcess {
    return this.#readers[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#readers) killChild(process);
    await Promise.all(this.#readers.map(({ status }) => status));
    for (const writer of this.#writers) await writer.kill();
  }

  /** Reads a FIFO by cat, which waits in open(2) for the shim, as containerd's clients do. */
  async #read(path: string, chunks: Uint8Array[]): Promise<Uint8Array> {
    if (path === "") return new Uint8Array();
    const reader = new Deno.Command("cat", { args: [path], stdout: "piped", stderr: "null" })
      .spawn();
    this.#readers.push(reader);
    for await (const chunk of reader.stdout) {
      chunks.push(chunk);
      this.#more.resolve();
      this.#more = Promise.withResolvers();
    }
    return concat(chunks);
  }
}

/** A client that writes to a FIFO. */
export class Writer {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  constructor(path: string) {
    this.#process = new Deno.Command("sh", {
      args: ["-c", 'exec cat >"$1"', "sh", path],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
  }

  async write(data: string | Uint8Array): Promise<void> {
    await this.#input.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /** Closes the FIFO when everything is written. */
  async detach(): Promise<void> {
    await this.#input.close();
    await this.#process.status;
  }

  async kill(): Promise<void> {
    killChild(this.#process);
    await this.#process.status;
    await this.#input.close().catch(() => {});
  }
}

/** Exit status and output of a container's process. */
export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly output: Uint8Array;
}

/** Options of {@link Box.create}. */
export interface BoxOptions extends SpecOptions {
  readonly streams?: Streams;
  /** Directory of the checkpoint to restore it from. */
  readonly checkpoint?: string;
  /** A snapshotter's mounts. By default the root file system is a directory of the bundle. */
  readonly rootfs?: NonNullable<CreateInit["rootfs"]>;
}

let boxes = 0;

/** A container that was created, with its own shim. */
export class Box implements AsyncDisposable {
  readonly host: Host;
  readonly id: string;
  readonly shim: Shim;
  readonly stdio: Stdio;
  #execs = 0;

  private constructor(host: Host, id: string, shim: Shim, stdio: Stdio) {
    this.host = host;
    this.id = id;
    this.shim = shim;
    this.stdio = stdio;
  }

  get task(): Shim["task"] {
    return this.shim.task;
  }

  static async create(
    host: Host,
    args: readonly string[],
    { streams = { stdout: true, stderr: true }, checkpoint = "", rootfs = [], ...options }:
      BoxOptions = {},
  ): Promise<Box> {
    const id = `conformance-${Deno.pid}-${++boxes}`;
    const bundle = `${host.folder}/${id}`;
    Deno.mkdirSync(bundle);
    makeBundle(bundle, args, options);
    const shim = await Shim.start(host, id, bundle);
    const stdio = new Stdio(bundle, "init", options.terminal ?? false, streams);
    const { stdin, stdout, stderr } = stdio;
    const terminal = options.terminal ?? false;
    const box = new Box(host, id, shim, stdio);
    try {
      await within(
        "Create",
        RUNS_WITHIN_MS,
        shim.task.create({ id, bundle, rootfs, terminal, stdin, stdout, stderr, checkpoint }),
      );
      return box;
    } catch (error) {
      await box[Symbol.asyncDispose]();
      throw error;
    }
  }

  async start(): Promise<void> {
    await within("Start", RUNS_WITHIN_MS, this.task.start({ id: this.id }));
  }

  /** Returns an id that no exec of this container has had. */
  newExecId(): string {
    return `e${++this.#execs}`;
  }

  /** Adds an exec process. Its streams are in `stdio`. */
  async exec(
    args: readonly string[],
    { streams = { stdout: true, stderr: true }, terminal = false, process = {} }: {
      streams?: Streams;
      terminal?: boolean;
      process?: Record<string, unknown>;
    } = {},
  ): Promise<Exec> {
    const execId = this.newExecId();
    const stdio = new Stdio(this.shim.bundle, execId, terminal, streams);
    try {
      await this.task.exec({
        id: this.id,
        execId,
        terminal,
        ...{ stdin: stdio.stdin, stdout: stdio.stdout, stderr: stdio.stderr },
        spec: processAny({ ...processSpec(args, terminal), ...process }),
      });
      return new Exec(this, execId, stdio);
    } catch (error) {
      await stdio[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs an exec process until it exits, and deletes it. */
  async run(
    args: readonly string[],
    options: { input?: string | Uint8Array; process?: Record<string, unknown> } = {},
  ): Promise<Outcome> {
    const { input, process = {} } = options;
    const streams = { stdout: true, stderr: true, stdin: input !== undefined };
    await using exec = await this.exec(args, { streams, process });
    await exec.start();
    if (input !== undefined) {
      const writer = exec.stdio.writer();
      await writer.write(input);
      await writer.detach();
      await exec.closeStdin();
    }
    return await exec.outcome();
  }

  /** Returns the statistics of its cgroup. */
  async stats(): Promise<cgroups.Metrics> {
    return unpackAny(cgroups.MetricsSchema, (await this.task.stats({ id: this.id })).stats!);
  }

  /** Kills what runs, deletes the container and shuts the shim down. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { id } = this;
    await this.task.kill({ id, signal: 9, all: true }, { timeoutMs: RUNS_WITHIN_MS })
      .then(() => this.task.wait({ id }, { timeoutMs: RUNS_WITHIN_MS })).catch(() => {});
    await this.task.delete({ id }, { timeoutMs: RUNS_WITHIN_MS }).catch(() => {});
    await this.shim.shutdown().catch(() => {});
    this.shim.connection.close();
    await this.stdio[Symbol.asyncDispose]();
  }
}

/** Updates the limits of a container with LinuxResources of the OCI specification. */
export async function update({ id, task }: Box, resources: unknown): Promise<void> {
  await task.update({ id, resources: resourcesAny(resources) });
}

/** An exec process of a container. */
export class Exec implements AsyncDisposable {
  readonly box: Box;
  readonly execId: string;
  readonly stdio: Stdio;
  #deleted = false;

  constructor(box: Box, execId: string, stdio: Stdio) {
    this.box = box;
    this.execId = execId;
    this.stdio = stdio;
  }

  get #who(): { id: string; execId: string } {
    return { id: this.box.id, execId: this.execId };
  }

  async start(): Promise<void> {
    await within("Start of an exec process", RUNS_WITHIN_MS, this.box.task.start(this.#who));
  }

  async closeStdin(): Promise<void> {
    await this.box.task.closeIO({ ...this.#who, stdin: true });
  }

  async wait(): Promise<number> {
    const { exitStatus } = await within(
      `exit of ${this.execId}`,
      RUNS_WITHIN_MS,
      this.box.task.wait(this.#who),
    );
    return exitStatus;
  }

  /** Waits until it exits and deletes it at once; its output must arrive all the same. */
  async outcome(): Promise<Outcome> {
    const status = await this.wait();
    this.#deleted = true;
    await this.box.task.delete(this.#who);
    const [output, stderr] = await within(
      `output of ${this.execId}`,
      RUNS_WITHIN_MS,
      Promise.all([this.stdio.output, this.stdio.errors]),
    );
    return { status, stdout: new TextDecoder().decode(output), stderr, output };
  }

  async kill(signal: number): Promise<void> {
    await this.box.task.kill({ ...this.#who, signal });
  }

  /** Kills and deletes it, unless it was deleted. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#deleted) {
      const { task } = this.box;
      await task.kill({ ...this.#who, signal: 9 }).then(() => task.wait(this.#who)).catch(() => {});
      await task.delete(this.#who).catch(() => {});
    }
    await this.stdio[Symbol.asyncDispose]();
  }
}

/** Packs a process as containerd does. */
export function processAny(process: unknown): Any {
  return specAny("Process", process);
}

/** Packs limits as containerd does. */
export function resourcesAny(resources: unknown): Any {
  return specAny("LinuxResources", resources);
}

function specAny(type: string, value: unknown): Any {
  return create(AnySchema, {
    typeUrl: `types.containerd.io/opencontainers/runtime-spec/1/${type}`,
    value: new TextEncoder().encode(JSON.stringify(value)),
  });
}
