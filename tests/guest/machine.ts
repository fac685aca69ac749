import { type FdStream, poller, SIG } from "../../ffi/mod.ts";
import { bootVm, leaseCid, type Vm } from "../../qemu/mod.ts";
import {
  answerChallenge,
  type ByteStream,
  type Client,
  createClient,
  FrameReader,
  FrameWriter,
  guest,
  GUEST_READY_MARKER,
  GUEST_RPC_PORT,
  GUEST_STREAM_PORT,
  GuestSecret,
  openStream,
  taskV3,
  TtrpcConnection,
  waitForClose,
} from "../../proto/mod.ts";

import { tcgPlan } from "../qemu/guest.ts";

const TAG = "shared";
const APPLETS =
  "sh cat echo exit head sha256sum sleep true uname yes dd trap ls id touch pwd grep stty tty tail"
    .split(
      " ",
    );

/** Exit code and output of a command in a container. */
export interface Outcome {
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/** The streams that a process has: letters of "ioe". */
export type Io = string;

/** Options of {@link Machine.create}. */
export interface CreateOptions {
  readonly terminal?: boolean;
  /** Changes to the default Linux resources of the OCI configuration. */
  readonly resources?: Record<string, unknown>;
}

/** Options of {@link Machine.exec}. */
export interface ExecOptions {
  readonly io?: Io;
  readonly terminal?: boolean;
  /** Changes to the init's OCI process. */
  readonly process?: Record<string, unknown>;
}

/** A VM with the real kernel and vminitd, without shim and containerd. */
export class Machine implements AsyncDisposable {
  readonly vm: Vm;
  readonly task: Client<typeof taskV3.Task>;
  readonly system: Client<typeof guest.System>;
  readonly bundles: Client<typeof guest.Bundles>;
  /** All of the guest's console so far. */
  readonly console: () => string;
  readonly #secret: GuestSecret;
  readonly #folder: string;
  readonly #connection: TtrpcConnection;

  private constructor(
    { vm, secret, console }: Booted,
    folder: string,
    connection: TtrpcConnection,
  ) {
    this.vm = vm;
    this.task = createClient(taskV3.Task, connection);
    this.system = createClient(guest.System, connection);
    this.bundles = createClient(guest.Bundles, connection);
    this.#folder = folder;
    this.#secret = secret;
    this.console = console;
    this.#connection = connection;
  }

  static async boot(): Promise<Machine> {
    const folder = Deno.makeTempDirSync();
    const shared = `${folder}/shared`;
    for (const name of ["shared/rootfs/bin", "shared/rootfs/sys/fs/cgroup", "run", "cids"]) {
      Deno.mkdirSync(`${folder}/${name}`, { recursive: true });
    }
    for (const name of ["proc", "dev", "tmp"]) Deno.mkdirSync(`${shared}/rootfs/${name}`);
    Deno.copyFileSync("/bin/busybox", `${shared}/rootfs/bin/busybox`);
    for (const name of APPLETS) Deno.symlinkSync("busybox", `${shared}/rootfs/bin/${name}`);

    const secret = GuestSecret.random();
    let text = "";
    const vm = await bootVm({
      name: "tests/guest",
      ...tcgPlan(),
      size: { memoryMib: 512, memoryMibMax: 512, vcpus: 1, vcpusMax: 1 },
      runDirectory: `${folder}/run`,
      shares: [{ tag: TAG, directory: shared, readonly: true }],
      readyMarker: GUEST_READY_MARKER,
    }, {
      leaseCid: () => leaseCid(`${folder}/cids`),
      consoleInput: secret.digits(),
      console: (chunk) => text += new TextDecoder().decode(chunk),
    });
    const connection = new TtrpcConnection(await dialAs(vm, GUEST_RPC_PORT, secret));
    return new Machine({ vm, secret, console: () => text }, folder, connection);
  }

  /** Creates a bundle and a container in it, which runs `args` once it is started. */
  async create(
    id: string,
    args: string[],
    io: Io = "",
    { terminal = false, resources = {} }: CreateOptions = {},
  ): Promise<number> {
    const { path } = await this.bundles.create({
      id,
      configJson: new TextEncoder().encode(JSON.stringify(config(id, args, terminal, resources))),
      rootfs: {
        lower: [{
          source: { case: "virtiofs", value: { tag: TAG, subdirectory: "rootfs" } },
        }],
        writable: { kind: { case: "tmpfs", value: { sizeBytes: 0n } } },
      },
    });
    const stream = (letter: string, name: string): string =>
      io.includes(letter) ? `${id}/init/${name}` : "";
    const { pid } = await this.task.create({
      id,
      bundle: path,
      stdin: stream("i", "stdin"),
      stdout: stream("o", "stdout"),
      stderr: stream("e", "stderr"),
      terminal,
    });
    return pid;
  }

  /** Adds an exec process to a container. */
  async exec(
    id: string,
    execId: string,
    args: string[],
    { io = "", terminal = false, process = {} }: ExecOptions = {},
  ): Promise<void> {
    const stream = (letter: string, name: string): string =>
      io.includes(letter) ? `${id}/${execId}/${name}` : "";
    const spec = { ...ociProcess(args), ...process, terminal };
    await this.task.exec({
      id,
      execId,
      terminal,
      stdin: stream("i", "stdin"),
      stdout: stream("o", "stdout"),
      stderr: stream("e", "stderr"),
      spec: {
        typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
        value: new TextEncoder().encode(JSON.stringify(spec)),
      },
    });
  }

  /** Runs an exec process from Exec to Delete. */
  async runExec(
    id: string,
    execId: string,
    args: string[],
    options: ExecOptions & { readonly input?: Uint8Array } = {},
  ): Promise<Outcome> {
    const { input } = options;
    await this.exec(id, execId, args, { ...options, io: input === undefined ? "oe" : "ioe" });
    const output = Promise.all(
      (["stdout", "stderr"] as const).map((name) => this.output(id, name, execId)),
    );
    const fed = input === undefined ? null : this.input(id, input, execId);
    await this.task.start({ id, execId });
    const { exitStatus } = await this.task.wait({ id, execId });
    const [stdout, stderr] = await output as [Uint8Array, Uint8Array];
    await fed;
    await this.task.delete({ id, execId });
    return { code: exitStatus, stdout, stderr: new TextDecoder().decode(stderr) };
  }

  /** Deletes a container and its bundle. */
  async delete(id: string): Promise<number> {
    const { exitStatus } = await this.task.delete({ id });
    await this.bundles.delete({ id });
    return exitStatus;
  }

  /** Connects to a port, as the guest's own shim does. */
  async dialPort(port: number): Promise<FdStream> {
    return await dialAs(this.vm, port, this.#secret);
  }

  /** Returns the shim's answer to a challenge. */
  async answer(port: number, challenge: Uint8Array): Promise<Uint8Array> {
    return await this.#secret.answer(port, challenge);
  }

  /** The digits of the secret, to search for. */
  get secretText(): string {
    return new TextDecoder().decode(this.#secret.digits());
  }

  /** Opens a byte stream. */
  async dial(streamId: string): Promise<ByteStream> {
    const stream = await this.dialPort(GUEST_STREAM_PORT);
    await openStream(stream, streamId);
    return stream;
  }

  /** Dials an output stream and reads it to its end. */
  async output(
    id: string,
    name: "stdout" | "stderr" = "stdout",
    process: string = "init",
  ): Promise<Uint8Array> {
    const stream = await this.dial(`${id}/${process}/${name}`);
    const reader = new FrameReader(stream);
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for (let chunk; (chunk = await reader.read()) !== null;) chunks.push(new Uint8Array(chunk));
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
  }

  /** Writes `bytes` to stdin and ends it. Returns false if the guest hung up before that. */
  async input(id: string, bytes: Uint8Array, process: string = "init"): Promise<boolean> {
    const stream = await this.dial(`${id}/${process}/stdin`);
    const writer = new FrameWriter(stream);
    try {
      await writer.write(bytes);
      await writer.end();
      return true;
    } catch {
      return false;
    } finally {
      await waitForClose(stream);
    }
  }

  /** Runs a container from Create to Delete. */
  async run(id: string, args: string[], input?: Uint8Array): Promise<Outcome> {
    await this.create(id, args, input === undefined ? "oe" : "ioe");
    const output = Promise.all([this.output(id), this.output(id, "stderr")]);
    const fed = input === undefined ? null : this.input(id, input);
    await this.task.start({ id });
    const { exitStatus } = await this.task.wait({ id });
    const [stdout, stderr] = await output;
    await fed;
    await this.delete(id);
    return { code: exitStatus, stdout, stderr: new TextDecoder().decode(stderr) };
  }

  /** Kills a container, waits for its exit and deletes it. */
  async kill(id: string): Promise<number> {
    await this.task.kill({ id, signal: SIG.KILL });
    await this.task.wait({ id });
    return await this.delete(id);
  }

  /** Calls Shutdown, and hangs up as soon as the guest has answered. */
  async shutdown(): Promise<void> {
    await this.system.shutdown({});
    this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
    await this.vm[Symbol.asyncDispose]();
    await poller.idle();
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** A VM that got `secret`. */
interface Booted {
  readonly vm: Vm;
  readonly secret: GuestSecret;
  readonly console: () => string;
}

/** Connects to a port of a guest that has this secret. */
export async function dialAs(vm: Vm, port: number, secret: GuestSecret): Promise<FdStream> {
  const stream = await vm.dialGuest(port);
  await answerChallenge(stream, port, secret);
  return stream;
}

function ociProcess(args: string[]): Record<string, unknown> {
  return {
    user: { uid: 0, gid: 0 },
    args,
    env: ["PATH=/bin"],
    cwd: "/",
    noNewPrivileges: true,
  };
}

function config(
  id: string,
  args: string[],
  terminal: boolean,
  resources: Record<string, unknown>,
): unknown {
  return {
    ociVersion: "1.1.0",
    process: { ...ociProcess(args), terminal },
    root: { path: "rootfs" },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
      },
    ],
    linux: {
      cgroupsPath: `/test/${id}`,
      namespaces: ["pid", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
      resources: { pids: { limit: 64 }, memory: { limit: 128 << 20 }, ...resources },
    },
  };
}
