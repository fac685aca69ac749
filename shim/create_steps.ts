import { type System } from "../ffi/mod.ts";
import { type GuestNetwork, SandboxNetwork } from "../net/mod.ts";
import {
  type Any,
  guest,
  GUEST_READY_MARKER,
  type MessageInitShape,
  packAny,
} from "../proto/mod.ts";
import {
  bootVm,
  type CidLease,
  type DiskConfig,
  leaseCid,
  type ScratchDisk,
  type Vm,
} from "../qemu/mod.ts";
import { sendCheckpoint } from "./checkpoint_files.ts";
import { ConsoleLog } from "./console_log.ts";
import type { CreatePlan, RootfsSource, WritableLayer } from "./create_plan.ts";
import { answered, GuestConnection } from "./guest_connection.ts";
import { openGuestIo } from "./guest_io.ts";
import type { Lease } from "./lease.ts";
import type { Logger } from "./log.ts";
import { CID_FOLDER, CID_INTENT, type SandboxName, type SandboxPaths, vmName } from "./names.ts";
import {
  type NetworkFacts,
  networkHost,
  networkRequestOf,
  nicPlans,
  type OnHost,
} from "./network.ts";
import { withNetworkFiles } from "./network_files.ts";
import { encodeOciJson } from "./oci_json.ts";
import type { ProcessIo } from "./process_io.ts";
import { removeFolder } from "./remove_folder.ts";
import { layerName, layerRanges, makeLayerDisk } from "./layer_disk.ts";
import { type SharedThings, shareWithVm } from "./shared_folder.ts";
import { SHARED_TAG } from "./spec_plan.ts";
import { streamIds } from "./stream_ids.ts";
import type { Timeline } from "./timeline.ts";
import { makeWritableDisk } from "./writable_disk.ts";

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

/** How long mounting, or crun, may take in a guest, under TCG on a busy host too. Milliseconds. */
const CREATE_CALL_TIMEOUT_MS = 30_000;
/** The guest's name of the checkpoint that it restores. */
const RESTORED = "restored";
/** The disk of all layers: its serial number, and its descriptor in the runtime folder. */
const LAYER_DISK = "layers";
/** The disk that the container writes to: its serial number. */
const WRITABLE_DISK = "writable";

/**
 * The steps of Create that acquire something, in the order in which they are taken. Each returns
 * what undoes it. They stand together in one object so that a test can fail each of them.
 */
export class CreateSteps {
  readonly #plan: CreatePlan;
  readonly #context: CreateContext;
  readonly #shared: SharedThings;
  #layerDisk: DiskConfig | null = null;
  #writableDisk: ScratchDisk | null = null;
  #bundle: Promise<Any> | null = null;

  constructor(plan: CreatePlan, context: CreateContext) {
    this.#plan = plan;
    this.#context = context;
    this.#shared = sharedThings(plan);
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
        path: makeLayerDisk(rootfs.layers, paths.runtime),
        format: "vmdk",
        readonly: true,
      };
    }
    return this.#isShared ? shareWithVm(system, this.#shared, paths.shared) : new DisposableStack();
  }

  /** What the container writes to, unless that is the VM's memory. */
  async makeWritableLayer(): Promise<Disposable> {
    const { system, stateDir } = this.#context;
    const { writable } = this.#plan;
    if (writable.kind === "tmpfs") return new DisposableStack();
    const file = await makeWritableDisk(system, { stateDir, ...writable });
    this.#writableDisk = { serial: WRITABLE_DISK, file };
    return { [Symbol.dispose]: () => system.close(file) };
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
    const host = networkHost(network, name, this.#context);
    const prepared = await SandboxNetwork.prepare(this.#plan.network, host);
    const elapsed = () => Math.round(performance.now() - startedAt);
    prepared.connect().then(() => log.debug(`network connected after ${elapsed()} ms`), () => {});
    return prepared;
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
        ? [{ tag: SHARED_TAG, directory: paths.shared, readonly: !this.#isWritable }]
        : [],
      readyMarker: GUEST_READY_MARKER,
      ...(bootTimeoutMs === null ? {} : { bootTimeoutMs }),
    }, {
      leaseCid: () => this.#leaseCid(),
      ledger: lease,
      log: (line) => log.warn(line),
      console: (chunk) => console.write(chunk),
      signal: AbortSignal.any([signal, disconnected.signal]),
      system,
    }).catch((error) => {
      disconnected.signal.throwIfAborted();
      throw error;
    });
    // While the helpers start. The step that sends it tells what went wrong.
    this.#bundle = network.connect().then((connected) => this.#packBundle(connected));
    this.#bundle.catch(() => {});
    const vm = await booting;
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
    const { hostname, byLoad } = this.#plan;
    await guest.configure({
      hostname,
      unixNanoseconds: system.clock("realtime"),
      ...(byLoad === null ? {} : {
        byLoad: { growPercent: byLoad.growPercent, cooldownMilliseconds: byLoad.cooldownMs },
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
    const { id, terminal, checkpoint } = this.#plan.request;
    const request = {
      id,
      terminal,
      checkpoint: checkpoint === "" ? "" : RESTORED,
      ...streamIds({ ...this.#plan.request, execId: "" }),
      options: (await this.#bundle)!,
    };
    await answered("Task.Create", CREATE_CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.create(request, { signal: this.#until(failed), timeoutMs });
    });
    this.#context.timeline.mark("crun created");
  }

  /** The container's stdio, joined to what containerd named; dialled when the guest is asked for it. */
  async openIo(guest: GuestConnection, failed: AbortSignal): Promise<ProcessIo> {
    const { request } = this.#plan;
    const { log, timeline } = this.#context;
    const { namespace } = this.#context.name;
    const signal = this.#until(failed);
    await this.#bundle;
    const onFirstByte = () => timeline.mark("first output byte");
    return await openGuestIo({ ...request, execId: "" }, guest, {
      ...{ namespace, log, signal, onFirstByte },
    });
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

  #packBundle(network: GuestNetwork): Any {
    const { request, spec: plan, rootfs, hostname } = this.#plan;
    const { spec, files } = withNetworkFiles(plan.spec, hostname, network);
    return packAny(guest.CreateBundleRequestSchema, {
      id: request.id,
      configJson: encodeOciJson(spec),
      shares: this.#isShared ? [{ tag: SHARED_TAG, writable: this.#isWritable }] : [],
      rootfs: {
        lower: lowerLayers(rootfs),
        writable: { kind: writableKind(this.#plan.writable) },
      },
      files: files.map((file) => ({ ...file, mode: 0o644 })),
    });
  }

  get #isShared(): boolean {
    const { rootfs, layers, volumes } = this.#shared;
    return rootfs !== null || layers.length + volumes.length > 0;
  }

  get #isWritable(): boolean {
    return this.#shared.volumes.some(({ readonly }) => !readonly);
  }
}

/** The image's name among what is shared. Opaque to the guest: host paths never travel into it. */
const ROOTFS = "rootfs";

function sharedThings({ rootfs, spec: { volumes } }: CreatePlan): SharedThings {
  return {
    rootfs: rootfs.kind === "mounted" ? { name: ROOTFS, mounts: rootfs.mounts } : null,
    layers: rootfs.kind === "files" ? rootfs.layers : [],
    volumes,
  };
}

/** What the guest is told of what the container writes to. */
function writableKind(
  layer: WritableLayer,
): NonNullable<MessageInitShape<typeof guest.WritableSchema>["kind"]> {
  if (layer.kind === "disk") return { case: "disk", value: { serial: WRITABLE_DISK } };
  return { case: "tmpfs", value: { sizeBytes: BigInt(layer.mib ?? 0) << 20n } };
}

/** What the guest is told of the image, top-most first. */
function lowerLayers(rootfs: RootfsSource): MessageInitShape<typeof guest.LayerSchema>[] {
  if (rootfs.kind === "mounted") {
    return [{ source: { case: "virtiofs", value: { tag: SHARED_TAG, subdirectory: ROOTFS } } }];
  }
  if (rootfs.kind === "files") {
    return rootfs.layers.map((_, index) => ({
      source: { case: "file", value: { tag: SHARED_TAG, subdirectory: layerName(index) } },
    }));
  }
  return layerRanges(rootfs.layers).map(({ offset, length }) => ({
    source: {
      case: "block",
      value: { serial: LAYER_DISK, offsetBytes: BigInt(offset), lengthBytes: BigInt(length) },
    },
  }));
}
