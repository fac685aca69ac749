import type { System } from "../../ffi/mod.ts";
import { type GuestNetwork, type NetnsUsers, SandboxNetwork } from "../../net/mod.ts";
import { type Any, GUEST_READY_MARKER, GuestSecret } from "../../proto/mod.ts";
import {
  bootVm,
  type CidLease,
  type DiskConfig,
  type IdLease,
  leaseCid,
  leaseUserId,
  type ScratchDisk,
  type Vm,
  type VmSize,
} from "../../qemu/mod.ts";
import type { Logger } from "../base/log.ts";
import {
  CID_DIRECTORY,
  CID_INTENT,
  type SandboxName,
  type SandboxPaths,
  USER_DIRECTORY,
  USER_INTENT,
  vmName,
} from "../base/names.ts";
import type { OnHost } from "../base/on_host.ts";
import { removeDirectory } from "../base/remove_directory.ts";
import type { Timeline } from "../base/timeline.ts";
import { authenticatedDial } from "../guest_client/authenticated_dial.ts";
import { sendCheckpoint } from "../guest_client/checkpoint_files.ts";
import { answered, GuestConnection } from "../guest_client/guest_connection.ts";
import type { Lease } from "../lease/lease.ts";
import type { NetworkFacts } from "../lease/network_facts.ts";
import { needsShare } from "../plan/container_plan.ts";
import type { CreatePlan } from "../plan/create_plan.ts";
import type { GrowthRules } from "../plan/growth_plan.ts";
import { filesOf } from "../plan/rootfs/layer_disk.ts";
import { SHARED_TAG } from "../plan/spec_plan.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import { makeLayerDisk } from "../storage/layer_disk.ts";
import { shareWithPod, shareWithVm } from "../storage/shared_directory.ts";
import { openSnapshotImage } from "../storage/snapshot_image.ts";
import { makeWritableDisk } from "../storage/writable_disk.ts";
import { ConsoleLog } from "./console_log.ts";
import {
  ContainerSteps,
  CREATE_CALL_TIMEOUT_MS,
  LAYER_DISK,
  RESTORED,
  WRITABLE_DISK,
} from "./container_steps.ts";
import { Hooks } from "./hooks.ts";
import { watchHostOom } from "./host_oom.ts";
import { requireMappedIds } from "./mapped_ids.ts";
import { networkHost, networkRequestOf, nicPlans } from "./network.ts";
import { Pod } from "./pod.ts";

/** The surroundings of the steps of Create. */
export interface CreateContext {
  readonly system: System;
  readonly paths: SandboxPaths;
  readonly runDir: string;
  readonly logDir: string;
  readonly stateDir: string;
  readonly name: SandboxName;
  readonly lease: Lease;
  readonly timeline: Timeline;
  readonly log: Logger;
  readonly bootTimeoutMs: number | null;
  readonly signal: AbortSignal;
  readonly network: NetworkFacts;
  readonly onHost?: OnHost;
}

/** How long the guest may take to write its cache to a snapshot's disk. */
const FLUSH_GRACE_MS = 60_000;

/** The disk of EROFS layers; null: there is none. Disposing it releases what is shared. */
export interface Storage extends Disposable {
  readonly layerDisk: DiskConfig | null;
}

/** The disk that the container writes to; null: the VM's memory. */
export interface WritableLayer extends Disposable {
  readonly disk: ScratchDisk | null;
}

/** What a VM boots with, made by the steps before. */
export interface BootParts {
  readonly console: ConsoleLog;
  readonly network: SandboxNetwork;
  readonly storage: Storage;
  readonly writable: WritableLayer;
}

/** A container's bundle as the guest gets it, and the network that its files describe. */
export interface Bundle {
  readonly request: Any;
  readonly network: GuestNetwork;
}

/**
 * The steps of Create that acquire something, in their order. Each returns what undoes it, and what
 * later steps need of it. They are one object so that a test can fail each of them.
 */
export class CreateSteps {
  readonly #plan: CreatePlan;
  readonly #context: CreateContext;
  readonly #container: ContainerSteps;
  /** In the memory of shim and guest alone. */
  readonly #secret = GuestSecret.random();
  /** This process is in the sandbox's cgroup by now. */
  readonly #hostOom = watchHostOom();

  constructor(plan: CreatePlan, context: CreateContext) {
    this.#plan = plan;
    this.#context = context;
    const { log, name: { namespace }, timeline } = context;
    const onFirstByte = () => timeline.mark("first output byte");
    this.#container = new ContainerSteps(plan.container, { log, namespace, onFirstByte });
  }

  get size(): VmSize {
    return this.#plan.vm.size;
  }

  /** Makes the directory of sockets and of the share. */
  makeRuntimeDirectory(): Disposable {
    const { paths, system } = this.#context;
    Deno.mkdirSync(paths.shared, { recursive: true, mode: 0o700 });
    return { [Symbol.dispose]: () => removeDirectory(system, paths.runtime) };
  }

  /** Prepares image and volumes, as far as the host has to do something for them. */
  prepareStorage(): Storage {
    const { system, paths } = this.#context;
    const { rootfs, pod } = this.#plan.container;
    const layerDisk = rootfs.kind !== "disk" ? null : {
      serial: LAYER_DISK,
      // Removed with the runtime directory.
      ...makeLayerDisk(filesOf(rootfs.layers), paths.runtime),
      format: "vmdk" as const,
      readonly: true,
    };
    if (!this.#isShared) return { layerDisk, [Symbol.dispose]() {} };
    const { shared } = this.#container;
    const share = pod === null
      ? shareWithVm(system, shared, paths.shared)
      : shareWithPod(system, shared, paths);
    return { layerDisk, [Symbol.dispose]: () => share[Symbol.dispose]() };
  }

  /** Makes the disk that the container writes to, unless that is the VM's memory. */
  async makeWritableLayer(): Promise<WritableLayer> {
    const { system, stateDir } = this.#context;
    const { writable } = this.#plan.container;
    if (writable.kind === "tmpfs") return { disk: null, [Symbol.dispose]() {} };
    const outlives = writable.kind === "snapshot";
    const file = outlives
      ? openSnapshotImage(system, writable.path)
      : await makeWritableDisk(system, { stateDir, ...writable });
    const disk = { serial: WRITABLE_DISK, file, outlives };
    return { disk, [Symbol.dispose]: () => system.close(file) };
  }

  /** Least time for the guest to shut down, whatever the settings are: it has data to write. */
  get leastGraceMs(): number {
    return this.#plan.container.writable.kind === "snapshot" ? FLUSH_GRACE_MS : 0;
  }

  /** Opens the log of the guest's console. */
  openConsoleLog(): ConsoleLog {
    return new ConsoleLog(this.#context.logDir, this.#context.name);
  }

  /** Makes the network as far as QEMU needs it. The plugins run beside the boot where they can. */
  async prepareNetwork(): Promise<SandboxNetwork> {
    const { network, lease, name, log } = this.#context;
    const startedAt = performance.now();
    lease.record(null, { network });
    const { spoofing } = this.#plan;
    const host = networkHost(network, name, { ...this.#context, ...this.#hooks(), spoofing });
    const prepared = await SandboxNetwork.prepare(this.#plan.network, host);
    const elapsed = () => Math.round(performance.now() - startedAt);
    prepared.connect().then(() => log.debug("network connected", { ms: elapsed() }), () => {});
    return prepared;
  }

  /** The hooks of the specification, if it has any. The lease knows before the first one runs. */
  #hooks(): { others?: NetnsUsers } {
    const { hooks, vm: { files: { setprivPath } }, container: { request } } = this.#plan;
    if (hooks === null) return {};
    const { system, log, onHost, signal, name, lease } = this.#context;
    lease.record(null, { hooksOf: request.bundle });
    const host = { system, log, onHost, signal, setprivPath, vmName: vmName(name) };
    const run = new Hooks(hooks.hooks, hooks.state, host);
    return {
      others: {
        enter: (netns) => run.enter(netns),
        leave: async () => {
          await run.leave();
          lease.record(null, { hooksOf: null });
        },
      },
    };
  }

  /** Boots the virtual machine, until its guest reports that it is ready. */
  async bootVm({ console, network, storage, writable }: BootParts): Promise<Vm> {
    const { lease, paths, timeline, system, log, name, signal, bootTimeoutMs } = this.#context;
    const bootedAt = performance.now();
    // A network that fails does not wait for the guest.
    const disconnected = new AbortController();
    network.connect().catch((error) => disconnected.abort(error));
    const vm = await bootVm({
      ...this.#plan.vm,
      name: vmName(name),
      runDirectory: paths.runtime,
      nics: nicPlans(network),
      disks: storage.layerDisk === null ? [] : [storage.layerDisk],
      scratchDisks: writable.disk === null ? [] : [writable.disk],
      shares: this.#shares(),
      readyMarker: GUEST_READY_MARKER,
      ...(bootTimeoutMs === null ? {} : { bootTimeoutMs }),
    }, {
      leaseCid: () => this.#leaseCid(),
      leaseUser: () => this.#leaseUser(),
      ledger: lease,
      log: (line) => log.warn(line),
      console: (chunk) => console.write(chunk),
      consoleInput: this.#secret.digits(),
      whyKilled: this.#hostOom,
      ...(network.netns === null ? {} : { netns: network.netns }),
      signal: AbortSignal.any([signal, disconnected.signal]),
      system,
    }).catch((error) => {
      disconnected.signal.throwIfAborted();
      throw error;
    });
    timeline.mark("vm spawned", bootedAt + vm.timeline.spawnedMs);
    timeline.mark("kernel up", bootedAt + vm.timeline.firstConsoleMs);
    timeline.mark("vminitd ready", bootedAt + vm.timeline.readyMs);
    return vm;
  }

  /** Encodes the container's bundle, once the plugins have said what its network is. */
  async encodeBundle(network: SandboxNetwork): Promise<Bundle> {
    const connected = await network.connect();
    return { request: this.#container.bundle(connected), network: connected };
  }

  /** Opens the RPC connection. */
  connectGuest(vm: Vm): Promise<GuestConnection> {
    return GuestConnection.open(
      authenticatedDial((port, options) => vm.dialGuest(port, options), this.#secret),
      this.#context.signal,
    );
  }

  /** Sets the guest's clock and host name, and what grows in it. */
  async configureGuest(guest: GuestConnection, failed: AbortSignal): Promise<void> {
    const { system } = this.#context;
    const { container: { hostname }, growth: { byLoad, memoryByPressure }, vm } = this.#plan;
    await guest.configure({
      hostname,
      unixNanoseconds: system.clock("realtime"),
      ...(byLoad === null ? {} : { byLoad: rulesOnWire(byLoad) }),
      ...(memoryByPressure === null ? {} : {
        memoryByPressure: {
          ...rulesOnWire(memoryByPressure),
          leastMib: vm.size.memoryMib,
          mostMib: memoryByPressure.mostMib,
        },
      }),
    }, this.#until(failed));
  }

  /** Sets up the guest's interfaces, once the plugins have said what they are. */
  async configureNetwork(
    guest: GuestConnection,
    network: SandboxNetwork,
    failed: AbortSignal,
  ): Promise<void> {
    const request = networkRequestOf(
      await network.connect(),
      this.#plan.container.spec.networkSysctls,
    );
    const signal = this.#until(failed);
    await answered("Network.Configure", CREATE_CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.network.configure(request, { signal, timeoutMs });
    });
  }

  /** Sends the files of the checkpoint that the container is restored from, if any. */
  async sendCheckpoint(guest: GuestConnection): Promise<void> {
    const { checkpoint } = this.#plan.container.request;
    if (checkpoint === "") return;
    await sendCheckpoint({ guest, name: RESTORED }, checkpoint, this.#context.signal);
  }

  /**
   * Makes bundle and container in the guest. crun creates the container and does not start it.
   *
   * @returns the pid of its init in the guest, as the guest reports it.
   */
  async createContainer(
    guest: GuestConnection,
    bundle: Promise<Bundle>,
    failed: AbortSignal,
  ): Promise<number> {
    const { request } = await bundle;
    const pid = await this.#container.create(guest, request, this.#until(failed));
    this.#context.timeline.mark("crun created");
    return pid;
  }

  /** Connects the container's stdio, dialed while the guest is asked for the container. */
  async openIo(
    guest: GuestConnection,
    bundle: Promise<Bundle>,
    failed: AbortSignal,
  ): Promise<ProcessIo> {
    await bundle;
    return await this.#container.openIo(guest, this.#until(failed));
  }

  /** What the VM has for further containers; null: it is for one container. */
  podOf(
    { hostPid, guestPid, network }: {
      readonly hostPid: number;
      readonly guestPid: number;
      readonly network: GuestNetwork;
    },
  ): Pod | null {
    const { pod, hostname, writable } = this.#plan.container;
    if (pod === null) return null;
    const { system, paths } = this.#context;
    return new Pod(
      system,
      paths,
      { hostPid, guestPid, hostname, size: this.size, writable },
      network,
    );
  }

  /** Leases a vsock context id that no other VM of this host has. */
  #leaseCid(): CidLease {
    const { lease, runDir, system } = this.#context;
    lease.intend(CID_INTENT);
    const cid = leaseCid(`${runDir}/${CID_DIRECTORY}`, { system });
    lease.record(CID_INTENT, { cidLock: cid.path });
    return cid;
  }

  /** Leases a user id that no other VM of this host has. */
  #leaseUser(): IdLease {
    const { lease, runDir, system } = this.#context;
    requireMappedIds(this.#plan.userIds);
    lease.intend(USER_INTENT);
    const user = leaseUserId(`${runDir}/${USER_DIRECTORY}`, this.#plan.userIds, { system });
    lease.record(USER_INTENT, { userLock: user.path });
    return user;
  }

  /** Aborts when the shim is told to exit, or with `failed`. */
  #until(failed: AbortSignal): AbortSignal {
    return AbortSignal.any([this.#context.signal, failed]);
  }

  get #isShared(): boolean {
    return this.#plan.container.pod !== null || needsShare(this.#plan.container);
  }

  /** Without a share there is no virtiofsd. */
  #shares() {
    if (!this.#isShared) return [];
    const { pod, spec, request } = this.#plan.container;
    return [{
      tag: SHARED_TAG,
      directory: this.#context.paths.shared,
      readonly: !this.#container.isWritable,
      grantsPrivileges: this.#plan.vm.grantsPrivileges ?? false,
      // A snapshotter's image without volumes. A directory that somebody names as root may change.
      isFixed: pod === null && spec.volumes.length === 0 && request.rootfs.length > 0,
    }];
  }
}

function rulesOnWire({ growPercent, cooldownMs: cooldownMilliseconds }: GrowthRules) {
  return { growPercent, cooldownMilliseconds };
}
