import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { isThere, messageOf } from "../../base/mod.ts";
import type { Logger } from "../base/log.ts";
import type { ContainerPlan } from "../plan/container_plan.ts";
import {
  cgroupFiles,
  type HostLimits,
  largerLimits,
  type LimitedSandbox,
  planHostLimits,
  unitProperties,
  updatedCpu,
} from "../plan/host_limits.ts";
import type { OciResources } from "../plan/oci.ts";
import type { HostCgroup } from "./host_cgroup.ts";
import { runSystemdCommand } from "./systemd_command.ts";

/** Controllers of the limits. */
const CONTROLLERS = ["cpu", "memory", "pids"] as const;
/** statfs(2) */
const TMPFS_MAGIC = 0x0102_1994, RAMFS_MAGIC = 0x8584_58f6, OVERLAYFS_MAGIC = 0x794c_7630;

/**
 * Limits of a sandbox on the host. They hold after the boot, which they would delay, and before the
 * container's first process.
 */
export class SandboxLimits {
  readonly #cgroup: HostCgroup;
  readonly #log: Pick<Logger, "debug" | "warn">;
  #sandbox: LimitedSandbox;
  #limits: HostLimits;

  constructor(
    cgroup: HostCgroup,
    sandbox: LimitedSandbox,
    log: Pick<Logger, "debug" | "warn">,
  ) {
    this.#cgroup = cgroup;
    this.#log = log;
    this.#sandbox = sandbox;
    this.#limits = planHostLimits(sandbox);
  }

  /** Sets the limits. Logs those that this host does not let us set. Never rejects. */
  apply(): Promise<void> {
    return this.#set(this.#limits);
  }

  /**
   * Follows an update of the container's limits. While it is under way the larger of both hold.
   *
   * @throws the error of `update`; the limits are as before then.
   */
  async during(resources: OciResources, update: () => Promise<unknown>): Promise<void> {
    const sandbox = {
      ...this.#sandbox,
      resources: updatedCpu(this.#sandbox.resources, resources),
    };
    const [before, after] = [this.#limits, planHostLimits(sandbox)];
    await this.#set(largerLimits(before, after));
    try {
      await update();
      this.#sandbox = sandbox;
      this.#limits = after;
    } finally {
      await this.#set(this.#limits);
    }
  }

  async #set(limits: HostLimits): Promise<void> {
    try {
      if (this.#cgroup.kind === "directory") this.#write(this.#cgroup, limits);
      else await setUnitProperties(this.#cgroup.unit, unitProperties(limits));
      const fields = cgroupFiles(limits).map(([file, value]) => [file.replaceAll(".", "_"), value]);
      this.#log.debug("host limits set", Object.fromEntries(fields));
    } catch (error) {
      this.#log.warn(`host limits: ${messageOf(error)}, only the guest's own hold`);
    }
  }

  #write({ root, path }: HostCgroup & { kind: "directory" }, limits: HostLimits): void {
    const refused = new Set<string>();
    for (const [file, value] of cgroupFiles(limits)) {
      const [controller] = file.split(".") as [string];
      try {
        delegate(root, path, controller);
        Deno.writeTextFileSync(`${root}${path}/${file}`, value, { create: false });
      } catch (error) {
        refused.add(`${file} (${messageOf(error)})`);
      }
    }
    if (refused.size > 0) throw new Error(`cannot set ${[...refused].join(", ")} of ${path}`);
  }
}

/** Enables a controller in each cgroup above `path`, as other runtimes do, where it is not yet. */
function delegate(root: string, path: string, controller: string): void {
  if (!(CONTROLLERS as readonly string[]).includes(controller)) return;
  const parents: string[] = [];
  for (let at = dirname(path); at !== "/"; at = dirname(at)) parents.unshift(at);
  for (const parent of ["", ...parents]) {
    const file = `${root}${parent}/cgroup.subtree_control`;
    if (!isThere(file)) return;
    if (Deno.readTextFileSync(file).split(/\s+/).includes(controller)) continue;
    Deno.writeTextFileSync(file, `+${controller}`, { create: false });
  }
}

/** @throws {Error} with the stderr of systemctl(1), or because it cannot be run. */
export async function setUnitProperties(
  unit: string,
  properties: readonly string[],
  command = "systemctl",
): Promise<void> {
  const args = ["set-property", "--runtime", unit, ...properties];
  await runSystemdCommand(command, args, `cannot set properties of ${unit}`);
}

/**
 * Returns what the container may write to file systems of the host that are in memory, in bytes:
 * the kernel counts such pages as memory of the cgroup, and they cannot be dropped. An overlay may
 * be in memory as well (live systems).
 */
export function memoryFilesBytes(
  { writable, spec: { volumes } }: Pick<ContainerPlan, "writable" | "spec">,
  stateDir: string,
): number {
  const layer = writable.kind === "tmpfs" ? [] : [
    writable.kind === "snapshot" ? dirname(writable.path) : stateDir,
  ];
  const paths = [...layer, ...volumes.filter((one) => !one.readonly).map((one) => one.hostPath)];
  const sizes = new Map<string, number>();
  for (const path of paths) {
    try {
      const { type, bsize, blocks, bfree } = statfsSync(path);
      const inMemory = [TMPFS_MAGIC, RAMFS_MAGIC, OVERLAYFS_MAGIC].includes(type);
      // The same file system is counted once.
      if (inMemory) sizes.set(`${type} ${blocks} ${bfree}`, bsize * blocks);
    } catch {
      // Gone meanwhile; the step that needs it reports that.
    }
  }
  return [...sizes.values()].reduce((sum, one) => sum + one, 0);
}
