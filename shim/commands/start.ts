import { type Fd, O, SIG, type System, system, SystemError } from "../../ffi/mod.ts";
import { BOOTSTRAP_BYTES_MAX, bootstrapAnswer, readBootstrap } from "./bootstrap.ts";
import type { Flags } from "./cli.ts";
import { loadConfig } from "../config/config.ts";
import { Lease, removeIfPresent } from "../lease/lease.ts";
import { type SandboxName, sandboxPaths, socketPath } from "../base/names.ts";
import { sandboxOf } from "./sandbox_of.ts";

/** The descriptor at which `serve` finds its listening socket. */
export const LISTENER_FD = 3 as Fd;

/**
 * `start`: makes the lease and the listening socket, starts `serve` detached, hands it the socket
 * and answers. containerd can connect at once, before `serve` is warm: the kernel queues it. For a
 * container of a pod the answer is the socket of its sandbox's shim, which is there.
 *
 * Nothing but the answer goes to stdout or stderr, which containerd reads together.
 */
export async function startShim(flags: Flags): Promise<void> {
  const input = readBootstrap(await readStdin(), flags);
  const bundle = Deno.cwd();
  const id = sandboxOf(bundle);
  const { namespace, address } = flags;
  const socket = socketPath(
    { namespace, id: id ?? flags.id },
    address,
    input.socketDir ?? undefined,
  );
  if (id !== null) {
    if (!isAnswered(system, socket)) {
      throw new Error(`the pod's sandbox ${id} has no running shim (${socket})`);
    }
    Deno.stdout.writeSync(bootstrapAnswer(input.protocol, socket));
    return;
  }
  const paths = sandboxPaths(loadConfig(), flags);
  using undo = new DisposableStack();
  const listener = listen(system, socket, flags);
  undo.defer(() => removeIfPresent(socket));
  const lease = createLease(paths, flags, { bundle, socketPath: socket });
  undo.defer(() => lease.release());
  lease.intend("shim");
  const output = openLogFifo(bundle);
  const pid = system.spawn({
    path: Deno.execPath(),
    args: serveArguments(flags, socket, input.debug),
    cwd: bundle,
    fds: { 1: output, 2: output, [LISTENER_FD]: listener },
    newSession: true,
  });
  undo.defer(() => system.kill(pid, SIG.KILL));
  system.close(listener);
  Deno.stdout.writeSync(bootstrapAnswer(input.protocol, socket));
  undo.move();
}

function createLease(...args: Parameters<typeof Lease.create>): Lease {
  try {
    return Lease.create(...args);
  } catch (error) {
    throw new Error(
      `run folder ${args[0].lease} cannot be written (${(error as Error).message}): ` +
        "make it writable or set QEMUBOX_RUN_DIR",
    );
  }
}

/**
 * `serve` gets the same flags, as containerd's own shims do: `ps` shows whose it is. The socket is
 * among them for `delete`, which finds a shim by it that did not live to write itself down.
 */
function serveArguments(flags: Flags, socket: string, debug: boolean): string[] {
  return [
    ...["-namespace", flags.namespace, "-id", flags.id, "-address", flags.address],
    ...["-socket", socket],
    ...(debug ? ["-debug"] : []),
    "serve",
  ];
}

/**
 * What `serve` prints as it crashes goes to the FIFO that containerd copies into its log. It is
 * opened without waiting for containerd; without it the output is dropped.
 */
function openLogFifo(bundle: string): Fd | "null" {
  try {
    return system.open(`${bundle}/log`, O.WRONLY | O.NONBLOCK);
  } catch {
    return "null";
  }
}

/**
 * Binds the socket. One that a dead shim left is replaced; one that is answered belongs to a
 * living shim, and is never handed out a second time.
 * @throws Error when there is such a shim.
 */
function listen(system: System, path: string, name: SandboxName): Fd {
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o711 });
  for (;;) {
    try {
      return system.listenUnix(path, { mode: 0o600 });
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "EADDRINUSE")) throw error;
    }
    if (isAnswered(system, path)) {
      throw new Error(`a shim for ${name.namespace}/${name.id} is running already (${path})`);
    }
    removeIfPresent(path);
  }
}

function isAnswered(system: System, path: string): boolean {
  try {
    system.close(system.connectUnix(path));
    return true;
  } catch (error) {
    const code = error instanceof SystemError ? error.code : "";
    if (code === "ECONNREFUSED" || code === "ENOENT") return false;
    if (code === "EAGAIN") return true;
    throw error;
  }
}

/** Standard input to its end; containerd gives /dev/null, or a pipe that it closes. */
export async function readStdin(): Promise<Uint8Array> {
  if (Deno.stdin.isTerminal()) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of Deno.stdin.readable) {
    total += chunk.length;
    if (total > BOOTSTRAP_BYTES_MAX) {
      throw new Error(`more than ${BOOTSTRAP_BYTES_MAX} bytes on standard input`);
    }
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}
