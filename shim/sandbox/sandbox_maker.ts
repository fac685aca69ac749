import type { System } from "../../ffi/mod.ts";
import type { OnHost } from "../base/on_host.ts";
import type { Logger } from "../base/log.ts";
import type { SandboxName, SandboxPaths } from "../base/names.ts";
import type { Timeline } from "../base/timeline.ts";
import { type Config, loadConfig } from "../config/config.ts";
import type { GuestConnection } from "../guest_client/guest_connection.ts";
import { openGuestIo } from "../guest_client/guest_io.ts";
import type { Lease } from "../lease/lease.ts";
import { networkFacts } from "../lease/network_facts.ts";
import { type CreatePlan, planCreate } from "../plan/create_plan.ts";
import type { CreateRequest } from "../plan/create_request.ts";
import { type OciResources, type OciSpec, readSpec } from "../plan/oci.ts";
import { planPodContainer } from "../plan/pod_container_plan.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import type { ProcessName } from "../stdio/process_name.ts";
import { CreateSteps } from "./create_steps.ts";
import { enterHostCgroup, type HostCgroup } from "./host_cgroup.ts";
import { memoryFilesBytes, SandboxLimits } from "./host_limits.ts";
import { joinPod, type PodContainer } from "./join_pod.ts";
import type { Pod } from "./pod.ts";
import { type NewSandbox, Sandbox } from "./sandbox.ts";

/** The surroundings of every sandbox of this shim. */
export interface SandboxMakerDeps {
  readonly system: System;
  /** Settings of the host; a container's annotations are read on top of them. */
  readonly config: Config;
  readonly paths: SandboxPaths;
  readonly name: SandboxName;
  readonly lease: Lease;
  readonly timeline: Timeline;
  readonly log: Logger;
  readonly onHost: OnHost;
  /** Aborts when the shim is told to exit. */
  readonly signal: AbortSignal;
}

/** Plans and makes sandboxes, containers in them, and the stdio of exec processes. */
export class SandboxMaker {
  readonly #deps: SandboxMakerDeps;
  /** Limits on the host; null: there are none (yet). */
  #limits: SandboxLimits | null = null;

  constructor(deps: SandboxMakerDeps) {
    this.#deps = deps;
  }

  /**
   * Makes a VM and its first container. When it fails, everything acquired is released.
   *
   * @throws RefusedError, VmError, NetworkError, ConfigError, GuestError: each names its cause.
   */
  async create(request: CreateRequest): Promise<NewSandbox> {
    const { system, config, paths, name, lease, timeline, log, onHost, signal } = this.#deps;
    const spec = readSpec(request.bundle);
    const effective = loadConfig(spec.annotations ?? {});
    const plan = planCreate(request, spec, effective);
    const host = { lease, log, pid: system.getpid() };
    const cgroup = await enterHostCgroup(spec.linux?.cgroupsPath, host);
    for (const line of [...plan.warnings, ...plan.container.spec.dropped]) log.warn(line);
    const steps = new CreateSteps(plan, {
      ...{ system, paths, name, lease, timeline, log, onHost, signal },
      runDir: config.runDir,
      logDir: config.logDir,
      stateDir: config.stateDir,
      bootTimeoutMs: effective.bootTimeoutMs,
      network: networkFacts(config, paths, name),
    });
    const made = await Sandbox.create(steps, log);
    this.#limits = config.hostLimits === "on" ? this.#limitsOf(plan, spec, cgroup) : null;
    await this.#limits?.apply();
    return made;
  }

  #limitsOf(plan: CreatePlan, spec: OciSpec, cgroup: HostCgroup | null): SandboxLimits | null {
    const { config: { stateDir }, log } = this.#deps;
    if (cgroup === null) return null;
    const { vm: { size, accelerator }, container } = plan;
    const sandbox = {
      ...{ size, accelerator, resources: spec.linux?.resources, isPod: container.pod !== null },
      memoryFilesBytes: memoryFilesBytes(container, stateDir),
    };
    return new SandboxLimits(cgroup, sandbox, log);
  }

  /**
   * Runs an update of the container's limits, which those on the host follow.
   *
   * @throws the error of `update`; the limits on the host are as before then.
   */
  async limiting(resources: OciResources, update: () => Promise<unknown>): Promise<void> {
    if (this.#limits === null) await update();
    else await this.#limits.during(resources, update);
  }

  /**
   * Adds a container to the VM of its pod. When it fails, the pod is as it was.
   *
   * @throws as `create`.
   */
  async join(request: CreateRequest, pod: Pod, guest: GuestConnection): Promise<PodContainer> {
    const { log, name: { namespace }, signal } = this.#deps;
    const spec = readSpec(request.bundle);
    // Annotations about the VM took effect when it was made. They are checked all the same.
    const effective = loadConfig(spec.annotations ?? {});
    const plan = planPodContainer(request, spec, pod, pod.nextDirectory(), effective);
    for (const line of [...plan.warnings, ...plan.container.spec.dropped]) {
      log.warn(`${request.id}: ${line}`);
    }
    return await joinPod(plan.container, pod, guest, { log, namespace, signal });
  }

  /**
   * Connects the streams of an exec process in the guest to what containerd named.
   *
   * @param refused aborts when the guest refuses the exec.
   * @throws RefusedError, GuestError; nothing stays open then.
   */
  openIo(name: ProcessName, guest: GuestConnection, refused: AbortSignal): Promise<ProcessIo> {
    const { log, name: { namespace } } = this.#deps;
    const signal = AbortSignal.any([this.#deps.signal, refused]);
    return openGuestIo(name, guest, { namespace, log, signal });
  }

  /**
   * Keeps the sandbox for another container when the one of bundle `left` is deleted: the lease
   * names a bundle that containerd still has.
   *
   * @param others bundles of the containers that stay or are on their way.
   */
  keepFor(left: string, [other]: readonly string[]): void {
    const { lease } = this.#deps;
    if (lease.facts.bundle === left && other !== undefined) lease.record(null, { bundle: other });
  }
}
