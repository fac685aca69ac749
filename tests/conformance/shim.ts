/** Drives a shim's binary as containerd does, without containerd. */

import assert from "node:assert/strict";
import { connectUnix, FdStream, O, poller, system } from "../../ffi/mod.ts";
import {
  type Client,
  Code,
  createClient,
  type MessageInitShape,
  RpcError,
  taskV3,
  TtrpcConnection,
} from "../../proto/mod.ts";
import { patience, within } from "../lib/wait.ts";
import { EventsServer } from "./events_server.ts";

/** Shim under test. containerd's own shim has to pass as well, where its runc can run. */
export const SHIM = Deno.env.get("QEMUBOX_CONFORMANCE_SHIM") ?? "containerd-shim-qemubox-v1";
export const IS_OURS = SHIM.endsWith("containerd-shim-qemubox-v1");
export const NAMESPACE = "conformance";
/** containerd's own shim may end before its answer to Shutdown is sent. */
const SHUTDOWN_CODES: readonly string[] = IS_OURS ? ["OK"] : ["OK", "Unavailable"];
const ENDS_WITHIN_MS = patience(20_000);
/** FIFO in a bundle to which a shim writes its log; containerd makes and reads it. */
const LOG = "log";
/** How much of each log is kept, to be shown with a failure. */
const LOG_CHARACTERS_MAX = 4_000;

/** Exit code and output of a program. */
export interface Ended {
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/** Stands in for containerd: a directory with its sockets and bundles, and its events. */
export class Host implements AsyncDisposable {
  readonly folder: string;
  readonly events: EventsServer;
  /** Logs of shims by their bundles. */
  readonly logs = new Map<string, string>();
  readonly #logStreams: FdStream[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    this.events = EventsServer.listen(`${folder}/events.sock`);
  }

  static async make(): Promise<Host> {
    return new Host(await Deno.makeTempDir({ prefix: "conformance-" }));
  }

  /** containerd's socket, at which nothing listens: a shim only derives its name from it. */
  get address(): string {
    return `${this.folder}/containerd.sock`;
  }

  /** Runs the shim with a verb until it exits. */
  async call(
    id: string,
    verb: "start" | "delete",
    { cwd, stdin }: { cwd: string; stdin?: Uint8Array },
  ): Promise<Ended> {
    if (verb === "start") this.#readLog(cwd);
    const flags = ["-namespace", NAMESPACE, "-id", id, "-address", this.address];
    return await callShim([...flags, "-publish-binary", "/bin/true", verb], {
      cwd,
      env: { TTRPC_ADDRESS: this.events.path },
      ...(stdin === undefined ? {} : { stdin }),
    });
  }

  /** Reads the log of a shim. containerd's own shim does not start without a reader. */
  #readLog(bundle: string): void {
    if (this.logs.has(bundle)) return;
    this.logs.set(bundle, "");
    system.mkfifo(`${bundle}/${LOG}`, 0o600);
    // Opened for writing too, so that it ends only when we close it.
    const stream = new FdStream(system.open(`${bundle}/${LOG}`, O.RDWR | O.NONBLOCK));
    this.#logStreams.push(stream);
    void (async () => {
      const bytes = new Uint8Array(4096);
      for (let count; (count = await stream.read(bytes)) !== null;) {
        const more = new TextDecoder().decode(bytes.subarray(0, count));
        this.logs.set(bundle, (this.logs.get(bundle)! + more).slice(-LOG_CHARACTERS_MAX));
      }
    })();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.events.close();
    for (const stream of this.#logStreams) stream.close();
    await poller.idle();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Runs the shim with these arguments until it exits. */
export async function callShim(
  args: readonly string[],
  { stdin, ...options }: { cwd?: string; env?: Record<string, string>; stdin?: Uint8Array } = {},
): Promise<Ended> {
  const child = new Deno.Command(SHIM, {
    args: [...args],
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    ...options,
  }).spawn();
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    if (stdin.length > 0) await writer.write(stdin as Uint8Array<ArrayBuffer>);
    await writer.close();
  }
  const { code, stdout, stderr } = await within(
    `${SHIM} ${args.at(-1)}`,
    ENDS_WITHIN_MS,
    child.output(),
  );
  return { code, stdout, stderr: new TextDecoder().decode(stderr) };
}

/** A running shim and a connection to it. */
export class Shim implements AsyncDisposable {
  readonly id: string;
  readonly bundle: string;
  readonly address: string;
  readonly task: Client<typeof taskV3.Task>;
  readonly connection: TtrpcConnection;

  private constructor(id: string, bundle: string, address: string, connection: TtrpcConnection) {
    this.id = id;
    this.bundle = bundle;
    this.address = address;
    this.connection = connection;
    this.task = createClient(taskV3.Task, connection);
  }

  static async start(host: Host, id: string, bundle: string): Promise<Shim> {
    const { code, stdout, stderr } = await host.call(id, "start", { cwd: bundle });
    assert.equal(code, 0, stderr);
    const { address, protocol } = JSON.parse(new TextDecoder().decode(stdout));
    assert.equal(protocol, "ttrpc");
    return await Shim.connect(id, bundle, address);
  }

  static async connect(id: string, bundle: string, address: string): Promise<Shim> {
    const stream = await connectUnix(address.replace(/^unix:\/\//, ""));
    return new Shim(id, bundle, address, new TtrpcConnection(stream));
  }

  /** Returns the pid of its process. */
  async pid(): Promise<number> {
    return (await this.task.connect({ id: this.id })).shimPid;
  }

  /** Calls Shutdown; the shim must have no container any more. */
  async requestShutdown(): Promise<void> {
    const call = codeOf(this.task.shutdown({ id: this.id }));
    const code = await within("answer to Shutdown", ENDS_WITHIN_MS, call);
    assert.ok(SHUTDOWN_CODES.includes(code), code);
  }

  /** Calls Shutdown, and waits until the shim has closed the connection. */
  async shutdown(): Promise<void> {
    await this.requestShutdown();
    await within("exit of the shim", ENDS_WITHIN_MS, this.connection.closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.close();
    await Promise.resolve();
  }
}

/** Returns the name of the code that a call fails with, or "OK" if it succeeds. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "OK";
  } catch (error) {
    assert.ok(error instanceof RpcError, String(error));
    return Code[error.code]!;
  }
}

export type CreateInit = MessageInitShape<typeof taskV3.CreateTaskRequestSchema>;
