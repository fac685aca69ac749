/** Sandboxes started without containerd, which therefore removes nothing. */

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

/** Returns the paths of a sandbox by the shim's defaults. */
export function pathsOf(name: SandboxName): SandboxPaths & { readonly socket: string } {
  return {
    ...sandboxPaths({ runDir: "/run/qemubox" }, name),
    socket: socketPath(name, ADDRESS),
  };
}

/** Runs `delete` as containerd does, with a bundle that may be gone. */
export async function runDelete({ namespace, id }: SandboxName): Promise<Ended> {
  const args = ["-namespace", namespace, "-address", ADDRESS, "-id", id, "-bundle", "/no/bundle"];
  return await within("delete", ENDS_WITHIN_MS, run(SHIM, [...args, "delete"]));
}

/** Checks that `delete` has succeeded and has printed nothing else. */
export function assertDeleted({ code, stderr, output }: Ended): void {
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.equal(fromBinary(taskV3.DeleteResponseSchema, output).exitStatus, KILLED_STATUS);
}

/** A shim that `start` has started for its own bundle. Disposing it removes only the bundle. */
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
   * Calls Create. Resolves as soon as QEMU runs, in the middle of it; `failed` resolves with the
   * error of that call, or null.
   */
  async beginCreate(): Promise<{ readonly failed: Promise<Error | null> }> {
    const connection = new TtrpcConnection(await connectUnix(this.address));
    const { id } = this.name;
    const failed = createClient(taskV3.Task, connection).create({ id, bundle: this.bundle })
      .then(() => null, (error: Error) => error).finally(() => connection.close());
    await until("QEMU", QEMU_WITHIN_MS, () => this.find("qemu"));
    return { failed };
  }

  /** Returns a live process of the sandbox, or null. */
  find(role: SandboxProcess["role"]): SandboxProcess | null {
    const { id, namespace } = this.name;
    return sandboxProcesses(id, namespace).find((one) => one.role === role) ?? null;
  }

  /** Signals the shim and waits until it has exited. */
  async signalShim(signal: Deno.Signal): Promise<void> {
    const { pid } = this.find("shim")!;
    kill(pid, signal);
    await until("exit of the shim", ENDS_WITHIN_MS, () => this.find("shim") === null ? true : null);
  }

  get lease(): LeaseFacts | null {
    return readLease(pathsOf(this.name).lease);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.bundle, { recursive: true });
  }
}
