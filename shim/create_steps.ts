import { type System } from "../ffi/mod.ts";
import { GUEST_READY_MARKER } from "../proto/mod.ts";
import { bootVm, type CidLease, leaseCid, type Vm } from "../qemu/mod.ts";
import { ConsoleLog } from "./console_log.ts";
import { type CreatePlan, readBundleFiles } from "./create_plan.ts";
import { answered, GuestConnection } from "./guest_connection.ts";
import { openGuestIo } from "./guest_io.ts";
import type { Lease } from "./lease.ts";
import type { Logger } from "./log.ts";
import { CID_FOLDER, CID_INTENT, type SandboxName, type SandboxPaths, vmName } from "./names.ts";
import { encodeOciJson } from "./oci_json.ts";
import type { ProcessIo } from "./process_io.ts";
import { removeFolder } from "./remove_folder.ts";
import { mountRootfs } from "./shared_folder.ts";
import { streamIds } from "./stream_ids.ts";
import type { Timeline } from "./timeline.ts";

/** What the steps of Create work with. */
export interface CreateContext {
  readonly system: System;
  readonly paths: SandboxPaths;
  readonly runDir: string;
  readonly logDir: string;
  readonly name: SandboxName;
  readonly lease: Lease;
  readonly timeline: Timeline;
  readonly log: Logger;
  readonly bootTimeoutMs: number | null;
  readonly signal: AbortSignal;
}

/** How long mounting, or crun, may take in a guest, under TCG on a busy host too. Milliseconds. */
const CREATE_CALL_TIMEOUT_MS = 30_000;
/** The guest's name for the folder that is shared with it. */
const SHARED_TAG = "qemubox";

/**
 * The steps of Create that acquire something, in the order in which they are taken. Each returns
 * what undoes it. They stand together in one object so that a test can fail each of them.
 */
export class CreateSteps {
  readonly #plan: CreatePlan;
  readonly #context: CreateContext;

  constructor(plan: CreatePlan, context: CreateContext) {
    this.#plan = plan;
    this.#context = context;
  }

  /** The folder of sockets and of what is shared. */
  makeRuntimeFolder(): Disposable {
    const { paths, system } = this.#context;
    Deno.mkdirSync(paths.shared, { recursive: true, mode: 0o700 });
    return { [Symbol.dispose]: () => removeFolder(system, paths.runtime) };
  }

  /** The image, read-only, below what is shared. */
  mountRootfs(): Disposable {
    const { system, paths } = this.#context;
    return mountRootfs(system, this.#plan.rootfs, this.#rootfsFolder(paths));
  }

  /** Where the guest's console is kept. */
  openConsoleLog(): ConsoleLog {
    return new ConsoleLog(this.#context.logDir, this.#context.name);
  }

  /** The virtual machine, up to the guest's word that it is ready. */
  async bootVm(console: ConsoleLog): Promise<Vm> {
    const { files, size, accelerator, transport, tscKhz } = this.#plan;
    const { lease, paths, timeline, system, log, name, signal, bootTimeoutMs } = this.#context;
    const bootedAt = performance.now();
    const vm = await bootVm({
      name: vmName(name),
      files,
      ...size,
      accelerator,
      ...(tscKhz === null ? {} : { tscKhz }),
      vsockTransport: transport,
      runDirectory: paths.runtime,
      shares: [{ tag: SHARED_TAG, directory: paths.shared, readonly: true }],
      readyMarker: GUEST_READY_MARKER,
      ...(bootTimeoutMs === null ? {} : { bootTimeoutMs }),
    }, {
      leaseCid: () => this.#leaseCid(),
      ledger: lease,
      log: (line) => log.warn(line),
      console: (chunk) => console.write(chunk),
      signal,
      system,
    });
    timeline.mark("vm spawned", bootedAt + vm.timeline.spawnedMs);
    timeline.mark("kernel up", bootedAt + vm.timeline.firstConsoleMs);
    timeline.mark("vminitd ready", bootedAt + vm.timeline.readyMs);
    return vm;
  }

  /** The RPC connection, with the guest's clock and name set. */
  async connectGuest(vm: Vm): Promise<GuestConnection> {
    const { signal, system } = this.#context;
    const guest = await GuestConnection.open(
      (port, options) => vm.dialGuest(port, options),
      signal,
    );
    try {
      await guest.configure(this.#plan.hostname, system.clock("realtime"), signal);
      return guest;
    } catch (error) {
      guest[Symbol.dispose]();
      throw error;
    }
  }

  /** The bundle in the guest; returns its path there. */
  async createBundle(guest: GuestConnection): Promise<string> {
    const { request, spec } = this.#plan;
    const { signal } = this.#context;
    const files = readBundleFiles(spec).map((file) => ({ ...file, mode: 0o644 }));
    const { path } = await answered("Bundles.Create", CREATE_CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.bundles.create({
        id: request.id,
        configJson: encodeOciJson(spec.spec),
        rootfs: {
          lower: [{
            source: {
              case: "virtiofs",
              value: { tag: SHARED_TAG, subdirectory: rootfsName(request.id) },
            },
          }],
          writable: { kind: { case: "tmpfs", value: { sizeBytes: 0n } } },
        },
        files,
      }, { signal, timeoutMs });
    });
    return path;
  }

  /** The container in the guest, created by crun and not yet started. */
  async createContainer(guest: GuestConnection, bundle: string): Promise<void> {
    const { id, terminal } = this.#plan.request;
    const { signal } = this.#context;
    await answered("Task.Create", CREATE_CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.create({
        id,
        bundle,
        terminal,
        ...streamIds({ ...this.#plan.request, execId: "" }),
      }, { signal, timeoutMs });
    });
    this.#context.timeline.mark("crun created");
  }

  /** The container's stdio, joined to what containerd named. */
  openIo(guest: GuestConnection): Promise<ProcessIo> {
    const { request } = this.#plan;
    const { signal, log, timeline } = this.#context;
    const { namespace } = this.#context.name;
    const onFirstByte = () => timeline.mark("first output byte");
    return openGuestIo({ ...request, execId: "" }, guest, {
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

  #rootfsFolder(paths: SandboxPaths): string {
    return `${paths.shared}/${rootfsName(this.#plan.request.id)}`;
  }
}

/** Opaque to the guest: host paths never travel into it. */
function rootfsName(containerId: string): string {
  return `rootfs-${containerId}`;
}
