import { inheritedEnvironment, removeIfPresent } from "../../base/mod.ts";
import { type Fd, isSystemError, O, SIG, type System, system } from "../../ffi/mod.ts";
import { type SandboxName, sandboxPaths, socketPath } from "../base/names.ts";
import { assertOwnDirectory } from "../base/own_directory.ts";
import { loadConfig } from "../config/config.ts";
import { Lease } from "../lease/lease.ts";
import { BOOTSTRAP_BYTES_MAX, bootstrapAnswer, readBootstrap } from "./bootstrap.ts";
import type { Flags } from "./cli.ts";
import { sandboxOf } from "./sandbox_of.ts";

/**
 * `start`: makes the lease and the listening socket, spawns `serve` detached with the socket, and
 * answers. containerd can connect at once, before `serve` is ready: the kernel queues the
 * connection. For a pod container the answer is the socket of its sandbox's shim, which runs
 * already.
 *
 * Writes nothing but the answer to stdout and stderr, which containerd reads together.
 *
 * @throws {Error} if the pod's shim does not run, or if a shim of this id runs already.
 * @throws {RefusedError} for a directory of ours that others can change, or that cannot be written.
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
      throw new Error(`pod sandbox ${id} has no running shim (${socket})`);
    }
    Deno.stdout.writeSync(bootstrapAnswer(input.protocol, socket));
    return;
  }
  const config = loadConfig();
  assertOwnDirectory("run_dir", config.runDir);
  assertOwnDirectory("state_dir", config.stateDir);
  assertOwnDirectory("log_dir", config.logDir);
  const paths = sandboxPaths(config, flags);
  using undo = new DisposableStack();
  const listener = listen(system, socket, flags);
  undo.defer(() => removeIfPresent(socket));
  const lease = Lease.create(paths, flags, { bundle, socketPath: socket });
  undo.defer(() => lease.release());
  lease.intend("shim");
  const output = openLogFifo(bundle);
  const pid = system.spawn({
    path: Deno.execPath(),
    args: serveArguments(flags, socket, input.debug),
    env: inheritedEnvironment(Deno.env.toObject()),
    cwd: bundle,
    fds: { 1: output, 2: output, [LISTENER_FD]: listener },
    newSession: true,
  });
  undo.defer(() => system.kill(pid, SIG.KILL));
  system.close(listener);
  Deno.stdout.writeSync(bootstrapAnswer(input.protocol, socket));
  undo.move();
}

/** Descriptor of the listening socket in `serve`. */
export const LISTENER_FD = 3 as Fd;

/**
 * Returns the arguments of `serve`: the same flags, as with containerd's own shims, so that `ps`
 * shows the container. By the socket, `delete` finds a shim that died before it was in the lease.
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
 * Opens the FIFO that containerd copies into its log, for the output of `serve` when it crashes.
 * Does not wait for containerd: without a reader the output is dropped.
 */
function openLogFifo(bundle: string): Fd | "null" {
  try {
    return system.open(`${bundle}/log`, O.WRONLY | O.NONBLOCK);
  } catch {
    return "null";
  }
}

/**
 * Binds the socket. Replaces the socket of a dead shim.
 *
 * @throws {Error} if a living shim answers on it.
 */
function listen(system: System, path: string, name: SandboxName): Fd {
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o711 });
  for (;;) {
    try {
      return system.listenUnix(path, { mode: 0o600 });
    } catch (error) {
      if (!isSystemError(error, "EADDRINUSE")) throw error;
    }
    if (isAnswered(system, path)) {
      throw new Error(`shim of ${name.namespace}/${name.id} is already running (${path})`);
    }
    removeIfPresent(path);
  }
}

function isAnswered(system: System, path: string): boolean {
  try {
    system.close(system.connectUnix(path));
    return true;
  } catch (error) {
    if (isSystemError(error, "ECONNREFUSED", "ENOENT")) return false;
    if (isSystemError(error, "EAGAIN")) return true;
    throw error;
  }
}

/**
 * Reads stdin to its end. containerd passes /dev/null, or a pipe that it closes.
 *
 * @throws {Error} beyond BOOTSTRAP_BYTES_MAX.
 */
export async function readStdin(): Promise<Uint8Array> {
  if (Deno.stdin.isTerminal()) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of Deno.stdin.readable) {
    total += chunk.length;
    if (total > BOOTSTRAP_BYTES_MAX) {
      throw new Error(`stdin has more than ${BOOTSTRAP_BYTES_MAX} bytes`);
    }
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}
