import { type System } from "../../ffi/mod.ts";
import { type GuestNetwork, type NetnsUsers, SandboxNetwork } from "../../net/mod.ts";
import { type Any, GUEST_READY_MARKER } from "../../proto/mod.ts";
import {
  bootVm,
  type CidLease,
  type DiskConfig,
  leaseCid,
  type ScratchDisk,
  type Vm,
} from "../../qemu/mod.ts";
import { sendCheckpoint } from "../guest_client/checkpoint_files.ts";
import { ConsoleLog } from "./console_log.ts";
import { needsShare } from "../plan/container_plan.ts";
import {
  ContainerSteps,
  CREATE_CALL_TIMEOUT_MS,
  LAYER_DISK,
  RESTORED,
  WRITABLE_DISK,
} from "./container_steps.ts";
import type { CreatePlan, GrowthRules } from "../plan/create_plan.ts";
import { answered, GuestConnection } from "../guest_client/guest_connection.ts";
import { Hooks } from "./hooks.ts";
import type { Lease } from "../lease/lease.ts";
import type { Logger } from "../base/log.ts";
import {
  CID_FOLDER,
  CID_INTENT,
  type SandboxName,
  type SandboxPaths,
  vmName,
} from "../base/names.ts";
import { networkHost, networkRequestOf, nicPlans } from "./network.ts";
import { Pod } from "./pod.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import { removeFolder } from "../base/remove_folder.ts";
import { filesOf, makeLayerDisk } from "../plan/rootfs/layer_disk.ts";
import { shareWithPod, shareWithVm } from "../storage/shared_folder.ts";
import { SHARED_TAG } from "../plan/spec_plan.ts";
import type { Timeline } from "../base/timeline.ts";
import { openSnapshotImage } from "../storage/snapshot_image.ts";
import { makeWritableDisk } from "../storage/writable_disk.ts";
import type { NetworkFacts } from "../lease/network_facts.ts";
import type { OnHost } from "../base/on_host.ts";

/** What the steps of Create work with. */
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

/** How long the guest may take for what it has not written to a snapshot's disk yet. Milliseconds. */
const FLUSH_GRACE_MS = 60_000;

/**
 * The steps of Create that acquire something, in the order in which they are taken. Each returns
 * what undoes it. They stand together in one object so that a test can fail each of them.
 */
export class CreateSteps {
  readonly #plan: CreatePlan;
  readonly #context: CreateContext;
  readonly #container: ContainerSteps;
  #layerDisk: DiskConfig | null = null;
  #writableDisk: ScratchDisk | null = null;
  #bundle: Promise<Any> | null = null;
  #network: GuestNetwork | null = null;
  #hostPid = 0;
  #guestPid = 0;

  constructor(plan: CreatePlan, context: CreateContext) {
    this.#plan = plan;
    this.#context = context;
    const { log, name: { namespace }, timeline } = context;
    const onFirstByte = () => timeline.mark("first output byte");
    this.#container = new ContainerSteps(plan, { log, namespace, onFirstByte });
  }

  /** The folder of sockets and of what is shared. */
  makeRuntimeFolder(): Disposable {
    const { paths, system } = this.#context;
    Deno.mkdirSync(paths.shared, { recursive: true, mode: 0o700 });
    return { [Symbol.dispose]: () => removeFolder(system, paths.runtime) };
  }

  /** The image and the volumes, as far as the host has to do something for them. */
  prepareStorage(): Disposable {
    const { system, paths } = this.#context;
    const { rootfs } = this.#plan;
    if (rootfs.kind === "disk") {
      this.#layerDisk = {
        serial: LAYER_DISK,
        // Gone with the runtime folder.
        path: makeLayerDisk(filesOf(rootfs.layers), paths.runtime),
        format: "vmdk",
        readonly: true,
      };
    }
    if (!this.#isShared) return new DisposableStack();
    const { shared } = this.#container;
    return this.#plan.pod === null
      ? shareWithVm(system, shared, paths.shared)
      : shareWithPod(system, shared, paths);
  }

  /** What the container writes to, unless that is the VM's memory. */
  async makeWritableLayer(): Promise<Disposable> {
    const { system, stateDir } = this.#context;
    const { writable } = this.#plan;
    if (writable.kind === "tmpfs") return new DisposableStack();
    const outlives = writable.kind === "snapshot";
    const file = outlives
      ? openSnapshotImage(system, writable.path)
      : await makeWritableDisk(system, { stateDir, ...writable });
    this.#writableDisk = { serial: WRITABLE_DISK, file, outlives };
    return { [Symbol.dispose]: () => system.close(file) };
  }

  /** How long a guest may take for its end, whatever the settings say: it has something to write. */
  get leastGraceMs(): number {
    return this.#plan.writable.kind === "snapshot" ? FLUSH_GRACE_MS : 0;
  }

  /** Where the guest's console is kept. */
  openConsoleLog(): ConsoleLog {
    return new ConsoleLog(this.#context.logDir, this.#context.name);
  }

  /** The network, as far as QEMU needs it; the plugins run beside the boot where they can. */
  async prepareNetwork(): Promise<SandboxNetwork> {
    const { network, lease, name, log } = this.#context;
    const startedAt = performance.now();
    lease.record(null, { network });
    const host = networkHost(network, name, { ...this.#context, ...this.#others() });
    const prepared = await SandboxNetwork.prepare(this.#plan.network, host);
    const elapsed = () => Math.round(performance.now() - startedAt);
    prepared.connect().then(() => log.debug(`network connected after ${elapsed()} ms`), () => {});
    return prepared;
  }

  /** The hooks of the specification, if it has some. The lease knows before the first is run. */
  #others(): { others?: NetnsUsers } {
    const { hooks, files: { setprivPath }, request: { bundle } } = this.#plan;
    if (hooks === null) return {};
    const { system, log, onHost, signal, name, lease } = this.#context;
    lease.record(null, { hooksOf: bundle });
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

  /** The virtual machine, up to the guest's word that it is ready. */
  async bootVm(console: ConsoleLog, network: SandboxNetwork): Promise<Vm> {
    const { files, size, accelerator, transport, tscKhz, returnsMemory } = this.#plan;
    const { lease, paths, timeline, system, log, name, signal, bootTimeoutMs } = this.#context;
    const bootedAt = performance.now();
    // A network that fails need not wait for the guest.
    const disconnected = new AbortController();
    network.connect().catch((error) => disconnected.abort(error));
    const booting = bootVm({
      name: vmName(name),
      files,
      ...size,
      returnsMemory,
      accelerator,
      ...(tscKhz === null ? {} : { tscKhz }),
      vsockTransport: transport,
      runDirectory: paths.runtime,
      nics: nicPlans(network),
      disks: this.#layerDisk === null ? [] : [this.#layerDisk],
      scratchDisks: this.#writableDisk === null ? [] : [this.#writableDisk],
      // Without one there is no virtiofsd.
      shares: this.#isShared
        ? [{
          tag: SHARED_TAG,
          directory: paths.shared,
          readonly: !this.#container.isWritable,
          isFixed: this.#isFixed,
        }]
        : [],
      readyMarker: GUEST_READY_MARKER,
      ...(bootTimeoutMs === null ? {} : { bootTimeoutMs }),
    }, {
      leaseCid: () => this.#leaseCid(),
      ledger: lease,
      log: (line) => log.warn(line),
      console: (chunk) => console.write(chunk),
      ...(network.netns === null ? {} : { netns: network.netns }),
      signal: AbortSignal.any([signal, disconnected.signal]),
      system,
    }).catch((error) => {
      disconnected.signal.throwIfAborted();
      throw error;
    });
    // While the helpers start. The step that sends it tells what went wrong.
    this.#bundle = network.connect().then((connected) => {
      this.#network = connected;
      return this.#container.bundle(connected);
    });
    this.#bundle.catch(() => {});
    const vm = await booting;
    this.#hostPid = vm.processes[0]!.pid;
    timeline.mark("vm spawned", bootedAt + vm.timeline.spawnedMs);
    timeline.mark("kernel up", bootedAt + vm.timeline.firstConsoleMs);
    timeline.mark("vminitd ready", bootedAt + vm.timeline.readyMs);
    return vm;
  }

  /** The RPC connection. */
  connectGuest(vm: Vm): Promise<GuestConnection> {
    return GuestConnection.open(
      (port, options) => vm.dialGuest(port, options),
      this.#context.signal,
    );
  }

  /** The guest's clock and name. */
  async configureGuest(guest: GuestConnection, failed: AbortSignal): Promise<void> {
    const { system } = this.#context;
    const { hostname, byLoad, memoryByPressure, size } = this.#plan;
    await guest.configure({
      hostname,
      unixNanoseconds: system.clock("realtime"),
      ...(byLoad === null ? {} : { byLoad: rulesOnWire(byLoad) }),
      ...(memoryByPressure === null ? {} : {
        memoryByPressure: {
          ...rulesOnWire(memoryByPressure),
          leastMib: size.memoryMib,
          mostMib: memoryByPressure.mostMib,
        },
      }),
    }, this.#until(failed));
  }

  /** The guest's interfaces, when the plugins have said what they are. */
  async configureNetwork(
    guest: GuestConnection,
    network: SandboxNetwork,
    failed: AbortSignal,
  ): Promise<void> {
    const request = networkRequestOf(await network.connect(), this.#plan.spec.networkSysctls);
    const signal = this.#until(failed);
    await answered("Network.Configure", CREATE_CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.network.configure(request, { signal, timeoutMs });
    });
  }

  /** The files of the checkpoint that the container is to be restored from, if it is. */
  async sendCheckpoint(guest: GuestConnection): Promise<void> {
    const { checkpoint } = this.#plan.request;
    if (checkpoint === "") return;
    await sendCheckpoint({ guest, name: RESTORED }, checkpoint, this.#context.signal);
  }

  /** The bundle in the guest and the container in it, created by crun and not yet started. */
  async createContainer(guest: GuestConnection, failed: AbortSignal): Promise<void> {
    this.#guestPid = await this.#container.create(
      guest,
      (await this.#bundle)!,
      this.#until(failed),
    );
    this.#context.timeline.mark("crun created");
  }

  /** The container's stdio, joined to what containerd named; dialled when the guest is asked for it. */
  async openIo(guest: GuestConnection, failed: AbortSignal): Promise<ProcessIo> {
    await this.#bundle;
    return await this.#container.openIo(guest, this.#until(failed));
  }

  /** What the VM, once the container is in it, has for others; null: it is one container's. */
  get pod(): Pod | null {
    const { pod, hostname, size, writable } = this.#plan;
    if (pod === null) return null;
    const { system, paths } = this.#context;
    const [hostPid, guestPid] = [this.#hostPid, this.#guestPid];
    return new Pod(system, paths, { hostPid, guestPid, hostname, size, writable }, this.#network!);
  }

  /** A vsock context id that no other VM of this host has. */
  #leaseCid(): CidLease {
    const { lease, runDir, system } = this.#context;
    lease.intend(CID_INTENT);
    const cid = leaseCid(`${runDir}/${CID_FOLDER}`, { system });
    lease.record(CID_INTENT, { cidLock: cid.path });
    return cid;
  }

  /** Aborted when the shim is told to end, or `failed` is. */
  #until(failed: AbortSignal): AbortSignal {
    return AbortSignal.any([this.#context.signal, failed]);
  }

  get #isShared(): boolean {
    return this.#plan.pod !== null || needsShare(this.#plan);
  }

  /** An image of a snapshotter and no volume; a folder that somebody names as root may be changed. */
  get #isFixed(): boolean {
    const { pod, spec, request } = this.#plan;
    return pod === null && spec.volumes.length === 0 && request.rootfs.length > 0;
  }
}

function rulesOnWire({ growPercent, cooldownMs: cooldownMilliseconds }: GrowthRules) {
  return { growPercent, cooldownMilliseconds };
}
