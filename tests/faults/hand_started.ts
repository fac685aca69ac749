/** Sandboxes without containerd: it knows nothing of them, and clears nothing away. */

import assert from "node:assert/strict";
import { connectUnix } from "../../ffi/mod.ts";
import { createClient, fromBinary, taskV3, TtrpcConnection } from "../../proto/mod.ts";
import { type LeaseFacts, readLease } from "../../shim/lease/lease.ts";
import {
  type SandboxName,
  type SandboxPaths,
  sandboxPaths,
  socketPath,
} from "../../shim/base/names.ts";
import { until, within } from "../lib/wait.ts";
import { makeBundle } from "./bundle.ts";
import { type Ended } from "../lib/ctr.ts";
import { kill, type SandboxProcess, sandboxProcesses } from "../lib/sandbox_processes.ts";
import { run } from "./run.ts";

const SHIM = "containerd-shim-qemubox-v1";
const ADDRESS = "/run/containerd/containerd.sock";
const KILLED_STATUS = 137;
const ENDS_WITHIN_MS = 10_000;
const QEMU_WITHIN_MS = 60_000;

/** The paths of a sandbox, as the shim's defaults have them. */
export function pathsOf(name: SandboxName): SandboxPaths & { readonly socket: string } {
  return {
    ...sandboxPaths({ runDir: "/run/qemubox" }, name),
    socket: socketPath(name, ADDRESS),
  };
}

/** `delete` in a process of its own, as containerd calls it, with a bundle that may be gone. */
export async function runDelete({ namespace, id }: SandboxName): Promise<Ended> {
  const args = ["-namespace", namespace, "-address", ADDRESS, "-id", id, "-bundle", "/no/bundle"];
  return await within("delete", ENDS_WITHIN_MS, run(SHIM, [...args, "delete"]));
}

/** What `delete` has to answer, and without a word besides. */
export function assertDeleted({ code, stderr, output }: Ended): void {
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.equal(fromBinary(taskV3.DeleteResponseSchema, output).exitStatus, KILLED_STATUS);
}

/** A shim that `start` has started for a bundle of its own. Disposing it removes the bundle alone. */
export class HandStarted implements Disposable {
  private constructor(
    readonly name: SandboxName,
    readonly bundle: string,
    readonly address: string,
  ) {}

  static async start(name: SandboxName): Promise<HandStarted> {
    const bundle = makeBundle();
    const { namespace, id } = name;
    const args = ["-namespace", namespace, "-address", ADDRESS, "-id", id, "start"];
    const { code, stdout, stderr } = await run(SHIM, args, { cwd: bundle });
    assert.equal(code, 0, stderr);
    return new HandStarted(name, bundle, JSON.parse(stdout).address.replace("unix://", ""));
  }

  /**
   * Asks for the container. Resolves as soon as QEMU runs, in the middle of Create; `failed` does
   * with the error of that call, or null.
   */
  async beginCreate(): Promise<{ readonly failed: Promise<Error | null> }> {
    const connection = new TtrpcConnection(await connectUnix(this.address));
    const { id } = this.name;
    const failed = createClient(taskV3.Task, connection).create({ id, bundle: this.bundle })
      .then(() => null, (error: Error) => error).finally(() => connection.close());
    await until("QEMU", QEMU_WITHIN_MS, () => this.find("qemu"));
    return { failed };
  }

  /** A living process of it. */
  find(role: SandboxProcess["role"]): SandboxProcess | null {
    const { id, namespace } = this.name;
    return sandboxProcesses(id, namespace).find((one) => one.role === role) ?? null;
  }

  /** Signals the shim and waits for its end. */
  async signalShim(signal: Deno.Signal): Promise<void> {
    const { pid } = this.find("shim")!;
    kill(pid, signal);
    await until("the shim's end", ENDS_WITHIN_MS, () => this.find("shim") === null ? true : null);
  }

  get lease(): LeaseFacts | null {
    return readLease(pathsOf(this.name).lease);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.bundle, { recursive: true });
  }
}
