import { connectUnix, FdStream, O, system } from "../../ffi/mod.ts";
import {
  type Any,
  AnySchema,
  type Client,
  create,
  createClient,
  taskV3,
  TtrpcConnection,
} from "../../proto/mod.ts";
import type { OciSpec } from "../../shim/plan/oci.ts";
import { until } from "../lib/wait.ts";
import { sandboxProcesses } from "./sandbox_processes.ts";
import { BOOT_TIMEOUT_SECONDS } from "./vm_host.ts";

export const SHIM = "containerd-shim-qemubox-v1";
const NAMESPACE = "bench";
const CONTAINERD = "/run/containerd/containerd.sock";
const APPLETS = ["sh", "echo", "cat", "sleep", "true", "dd", "find", "nsenter"];
const SIGKILL = 9;
const ENDS_WITHIN_MS = 10_000;
const OUTPUT_BYTES_MAX = 64 * 1024;

/** Capabilities to enter the guest's namespaces and to run crun there. */
const GUESTS_CAPABILITIES = [
  ...["CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SETGID", "CAP_SETUID"],
  ...["CAP_SETPCAP", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL"],
  ...["CAP_SYS_RESOURCE", "CAP_NET_ADMIN", "CAP_MKNOD"],
];

/** A root file system with busybox, which containers share like an image. */
export class Rootfs implements Disposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "bench-rootfs-" });

  constructor() {
    for (const directory of ["bin", "proc", "dev"]) Deno.mkdirSync(`${this.path}/${directory}`);
    Deno.copyFileSync("/bin/busybox", `${this.path}/bin/busybox`);
    for (const name of APPLETS) Deno.symlinkSync("busybox", `${this.path}/bin/${name}`);
  }

  /** Adds one of this machine's programs, with the libraries that ldd(1) lists. */
  add(program: string): void {
    const { stdout } = new Deno.Command("ldd", { args: [program] }).outputSync();
    const libraries = new TextDecoder().decode(stdout).match(/\/\S+/g) ?? [];
    for (const file of libraries) {
      Deno.mkdirSync(`${this.path}${file.slice(0, file.lastIndexOf("/"))}`, { recursive: true });
      Deno.copyFileSync(file, `${this.path}${file}`);
    }
    Deno.copyFileSync(program, `${this.path}/bin/${program.slice(program.lastIndexOf("/") + 1)}`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Options of {@link ShimContainer.prepare}. */
export interface ContainerOptions {
  readonly rootfs: Rootfs;
  readonly args: readonly string[];
  /** In bytes; the shim's default if omitted. */
  readonly memoryLimit?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  /** An EROFS image of `rootfs` to use in its place. */
  readonly image?: string;
  /** A directory of the host. */
  readonly volume?: { readonly source: string; readonly destination: string };
  /** Whether it sees the guest's processes, and may enter their namespaces. */
  readonly inGuest?: boolean;
  /** Additional environment of the shim. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * A container driven as containerd does, but without containerd: `start` of the shim's program,
 * then its task API. Disposing it removes whatever is left of it, in any state.
 */
export class ShimContainer implements AsyncDisposable {
  readonly id = `bench-${crypto.randomUUID().slice(0, 8)}`;
  readonly vmName = `${NAMESPACE}/${this.id}`;
  readonly #bundle: string;
  readonly #output: FdStream;
  #connection: TtrpcConnection | null = null;
  #task: Client<typeof taskV3.Task> | null = null;
  readonly #inGuest: boolean;
  readonly #image: string | null;
  readonly #environment: Readonly<Record<string, string>>;
  #started = false;
  #execs = 0;

  private constructor(bundle: string, output: FdStream, options: ContainerOptions) {
    this.#bundle = bundle;
    this.#output = output;
    this.#inGuest = options.inGuest ?? false;
    this.#image = options.image ?? null;
    this.#environment = options.environment ?? {};
  }

  /** Makes a bundle and a FIFO for the output. No shim runs yet. */
  static async prepare(options: ContainerOptions): Promise<ShimContainer> {
    const bundle = Deno.makeTempDirSync({ prefix: "bench-bundle-" });
    Deno.writeTextFileSync(`${bundle}/config.json`, JSON.stringify(specOf(options)));
    await run("mkfifo", [`${bundle}/stdout`]);
    // Opened for writing too, so that it does not end before the shim has opened it.
    const fd = system.open(`${bundle}/stdout`, O.RDWR | O.NONBLOCK);
    return new ShimContainer(bundle, new FdStream(fd), options);
  }

  /** Runs `start` until it exits, and connects to the shim's address that it prints. */
  async start(): Promise<void> {
    this.#started = true;
    const answer = await run(SHIM, [...this.#flags(), "start"], {
      cwd: this.#bundle,
      environment: this.#environment,
    });
    const { address } = JSON.parse(answer);
    this.#connection = new TtrpcConnection(await connectUnix(address.replace("unix://", "")));
    this.#task = createClient(taskV3.Task, this.#connection);
  }

  /** The task API of the shim, after `start`. */
  get task(): Client<typeof taskV3.Task> {
    return this.#task!;
  }

  async create(): Promise<void> {
    const image = this.#image;
    await this.task.create({
      id: this.id,
      bundle: this.#bundle,
      rootfs: image === null ? [] : [{ type: "erofs", source: image, options: ["ro"] }],
      stdout: `${this.#bundle}/stdout`,
    });
  }

  /** Resolves with the container's next output. */
  async output(): Promise<string> {
    const bytes = new Uint8Array(OUTPUT_BYTES_MAX);
    const count = await this.#output.read(bytes);
    return new TextDecoder().decode(bytes.subarray(0, count ?? 0));
  }

  /**
   * Runs an exec process, which has to exit with 0, and deletes it.
   *
   * @param stdout path of a FIFO, or nothing for no stdout.
   * @returns the milliseconds from the request of Exec, and of Start, to the answer of Wait.
   */
  async exec(args: readonly string[], stdout = ""): Promise<{ whole: number; run: number }> {
    const who = { id: this.id, execId: `e${++this.#execs}` };
    const from = performance.now();
    await this.task.exec({ ...who, stdout, spec: anyOf(processOf(args, this.#inGuest)) });
    const added = performance.now();
    await this.task.start(who);
    const { exitStatus } = await this.task.wait(who);
    const to = performance.now();
    await this.task.delete(who);
    if (exitStatus !== 0) throw new Error(`${args.join(" ")} exited with ${exitStatus}`);
    return { whole: to - from, run: to - added };
  }

  /** FIFO of its stdout, for an exec whose output `output` returns. */
  get stdout(): string {
    return `${this.#bundle}/stdout`;
  }

  /** Kills the container's init and waits until it has exited. */
  async kill(): Promise<void> {
    await this.task.kill({ id: this.id, signal: SIGKILL });
    await this.task.wait({ id: this.id });
  }

  async delete(): Promise<void> {
    await this.task.delete({ id: this.id });
  }

  /** Shuts the shim down, hangs up, and waits until its process is gone. */
  async shutdown(): Promise<void> {
    await this.task.shutdown({ id: this.id });
    this.#connection!.close();
    await until("exit of the shim", ENDS_WITHIN_MS, () => {
      return sandboxProcesses(this.vmName).length === 0 || null;
    });
    this.#started = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection?.close();
    this.#output.close();
    try {
      // delete kills the shim and what it has made.
      if (!this.#started) return;
      const environment = this.#environment;
      await run(SHIM, [...this.#flags(), "-bundle", this.#bundle, "delete"], { environment });
    } finally {
      Deno.removeSync(this.#bundle, { recursive: true });
    }
  }

  #flags(): string[] {
    return ["-namespace", NAMESPACE, "-address", CONTAINERD, "-id", this.id];
  }
}

/**
 * Runs a program until it exits. Returns its output.
 *
 * @throws {Error} with its errors if it fails.
 */
export async function run(
  program: string,
  args: readonly string[],
  { cwd = "/", environment = {} }: {
    cwd?: string;
    environment?: Readonly<Record<string, string>>;
  } = {},
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { TTRPC_ADDRESS: `${CONTAINERD}.ttrpc`, ...environment },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  if (code !== 0) throw new Error(`${program} exited with ${code}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}

function specOf(
  { rootfs, args, memoryLimit, annotations, volume, inGuest = false }: ContainerOptions,
): OciSpec {
  const namespaces = [...(inGuest ? [] : ["pid"]), "mount", "ipc", "uts", "network"];
  return {
    ociVersion: "1.0.2",
    process: processOf(args, inGuest),
    root: { path: rootfs.path },
    annotations: {
      "io.qemubox.boot-timeout-seconds": String(BOOT_TIMEOUT_SECONDS),
      ...annotations,
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      ...(volume === undefined ? [] : [{ ...volume, type: "bind", options: ["rbind", "ro"] }]),
    ],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      ...(memoryLimit === undefined ? {} : { resources: { memory: { limit: memoryLimit } } }),
    },
  };
}

function processOf(args: readonly string[], inGuest: boolean): NonNullable<OciSpec["process"]> {
  const [bounding, effective, permitted] = [0, 1, 2].map(() => [...GUESTS_CAPABILITIES]);
  return {
    args: [...args],
    cwd: "/",
    env: ["PATH=/bin"],
    user: { uid: 0, gid: 0 },
    ...(inGuest ? { capabilities: { bounding, effective, permitted } } : {}),
  };
}

/** Packs a process as containerd does. */
function anyOf(process: unknown): Any {
  return create(AnySchema, {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
    value: new TextEncoder().encode(JSON.stringify(process)),
  });
}
