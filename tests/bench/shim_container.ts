import { connectUnix, FdStream, O, system } from "../../ffi/mod.ts";
import { type Client, createClient, taskV3, TtrpcConnection } from "../../proto/mod.ts";
import type { OciSpec } from "../../shim/oci.ts";
import { until } from "../lib/wait.ts";
import { sandboxProcesses } from "./sandbox_processes.ts";
import { BOOT_TIMEOUT_SECONDS } from "./vm_host.ts";

export const SHIM = "containerd-shim-qemubox-v1";
const NAMESPACE = "bench";
const CONTAINERD = "/run/containerd/containerd.sock";
const APPLETS = ["sh", "echo", "cat", "sleep"];
const SIGKILL = 9;
const ENDS_WITHIN_MS = 10_000;
const OUTPUT_BYTES_MAX = 64 * 1024;

/** A root file system of busybox, which many containers share as they share an image. */
export class Rootfs implements Disposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "bench-rootfs-" });

  constructor() {
    for (const folder of ["bin", "proc", "dev"]) Deno.mkdirSync(`${this.path}/${folder}`);
    Deno.copyFileSync("/bin/busybox", `${this.path}/bin/busybox`);
    for (const name of APPLETS) Deno.symlinkSync("busybox", `${this.path}/bin/${name}`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** What {@link ShimContainer} runs. */
export interface ContainerOptions {
  readonly rootfs: Rootfs;
  readonly args: readonly string[];
  /** Bytes; the default of the shim when left out. */
  readonly memoryLimit?: number;
}

/**
 * A container that is driven as containerd drives it, but without containerd: `start` of the shim's
 * program, then its task API. Disposing it ends whatever is left of it, wherever it has come to.
 */
export class ShimContainer implements AsyncDisposable {
  readonly id = `bench-${crypto.randomUUID().slice(0, 8)}`;
  readonly vmName = `${NAMESPACE}/${this.id}`;
  readonly #bundle: string;
  readonly #output: FdStream;
  #connection: TtrpcConnection | null = null;
  #task: Client<typeof taskV3.Task> | null = null;
  #started = false;

  private constructor(bundle: string, output: FdStream) {
    this.#bundle = bundle;
    this.#output = output;
  }

  /** Makes a bundle and a FIFO for the output. Nothing of the shim runs yet. */
  static async prepare(options: ContainerOptions): Promise<ShimContainer> {
    const bundle = Deno.makeTempDirSync({ prefix: "bench-bundle-" });
    Deno.writeTextFileSync(`${bundle}/config.json`, JSON.stringify(specOf(options)));
    await run("mkfifo", [`${bundle}/stdout`]);
    // Also for writing, so that it does not end before the shim has opened it.
    const fd = system.open(`${bundle}/stdout`, O.RDWR | O.NONBLOCK);
    return new ShimContainer(bundle, new FdStream(fd));
  }

  /** Calls `start`, up to its end; its answer is where the shim listens. */
  async start(): Promise<void> {
    this.#started = true;
    const answer = await run(SHIM, [...this.#flags(), "start"], this.#bundle);
    const { address } = JSON.parse(answer);
    this.#connection = new TtrpcConnection(await connectUnix(address.replace("unix://", "")));
    this.#task = createClient(taskV3.Task, this.#connection);
  }

  /** The task API of the shim. Only after `start`. */
  get task(): Client<typeof taskV3.Task> {
    return this.#task!;
  }

  async create(): Promise<void> {
    await this.task.create({
      id: this.id,
      bundle: this.#bundle,
      stdout: `${this.#bundle}/stdout`,
    });
  }

  /** Resolves with what the container writes next. */
  async output(): Promise<string> {
    const bytes = new Uint8Array(OUTPUT_BYTES_MAX);
    const count = await this.#output.read(bytes);
    return new TextDecoder().decode(bytes.subarray(0, count ?? 0));
  }

  /** Kills the container's process and waits for its end. */
  async kill(): Promise<void> {
    await this.task.kill({ id: this.id, signal: SIGKILL });
    await this.task.wait({ id: this.id });
  }

  async delete(): Promise<void> {
    await this.task.delete({ id: this.id });
  }

  /** Ends the shim, hangs up, and waits until its process is gone. */
  async shutdown(): Promise<void> {
    await this.task.shutdown({ id: this.id });
    this.#connection!.close();
    await until("the end of the shim", ENDS_WITHIN_MS, () => {
      return sandboxProcesses(this.vmName).length === 0 || null;
    });
    this.#started = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection?.close();
    this.#output.close();
    try {
      // It kills the shim and what that has made.
      if (this.#started) await run(SHIM, [...this.#flags(), "-bundle", this.#bundle, "delete"]);
    } finally {
      Deno.removeSync(this.#bundle, { recursive: true });
    }
  }

  #flags(): string[] {
    return ["-namespace", NAMESPACE, "-address", CONTAINERD, "-id", this.id];
  }
}

/** Runs a program to its end; what it wrote. @throws Error with what it complained of. */
export async function run(program: string, args: readonly string[], cwd = "/"): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { TTRPC_ADDRESS: `${CONTAINERD}.ttrpc` },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}

function specOf({ rootfs, args, memoryLimit }: ContainerOptions): OciSpec {
  return {
    ociVersion: "1.0.2",
    process: { args: [...args], cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 } },
    root: { path: rootfs.path },
    annotations: { "io.qemubox.boot-timeout-seconds": String(BOOT_TIMEOUT_SECONDS) },
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
    linux: {
      namespaces: ["pid", "mount", "ipc", "uts", "network"].map((type) => ({ type })),
      ...(memoryLimit === undefined ? {} : { resources: { memory: { limit: memoryLimit } } }),
    },
  };
}
