import { type Any, encodeOciJson, guest, type MessageInitShape, packAny } from "../../proto/mod.ts";
import type { GuestNetwork } from "../../net/mod.ts";
import { type ContainerPlan, needsShare, type RootfsSource } from "../plan/container_plan.ts";
import { answered, type GuestConnection } from "../guest_client/guest_connection.ts";
import { openGuestIo } from "../guest_client/guest_io.ts";
import { filesOf, layerName, layerRanges } from "../plan/rootfs/layer_disk.ts";
import type { Logger } from "../base/log.ts";
import { withNetworkFiles } from "../plan/network_files.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import type { SharedThings } from "../storage/shared_directory.ts";
import { type PodPlace, SHARED_TAG } from "../plan/spec_plan.ts";
import { streamIds } from "../guest_client/stream_ids.ts";
import type { WritableLayer } from "../plan/writable_plan.ts";

/** Deadline for mounting and crun in a guest, also under TCG on a busy host. */
export const CREATE_CALL_TIMEOUT_MS = 30_000;
/** Name in the guest of the checkpoint that it restores. */
export const RESTORED = "restored";
/** Serial number of the disk of all layers. */
export const LAYER_DISK = "layers";
/** Serial number of the disk that containers write to. */
export const WRITABLE_DISK = "writable";
/** Name of the image in the share. Opaque to the guest: host paths are never sent into it. */
const ROOTFS = "rootfs";
/** Directory of a pod's first container on the disk. */
const FIRST_DIRECTORY = "c0";

/** The surroundings of the steps of a container. */
export interface ContainerContext {
  readonly log: Logger;
  readonly namespace: string;
  readonly onFirstByte?: () => void;
}

/** What is done for a container once a guest is up, for one alone and for each of a pod. */
export class ContainerSteps {
  readonly #plan: ContainerPlan;
  readonly #context: ContainerContext;

  constructor(plan: ContainerPlan, context: ContainerContext) {
    this.#plan = plan;
    this.#context = context;
  }

  /** Files of the host that the VM has to see. */
  get shared(): SharedThings {
    const { rootfs, spec: { volumes } } = this.#plan;
    return {
      rootfs: rootfs.kind === "mounted" ? { name: ROOTFS, mounts: rootfs.mounts } : null,
      layers: rootfs.kind === "files" ? filesOf(rootfs.layers) : [],
      volumes,
    };
  }

  /** Whether the share is writable. The mounts of one share are all writable, or none is. */
  get isWritable(): boolean {
    return this.#plan.pod !== null || this.shared.volumes.some(({ readonly }) => !readonly);
  }

  /** Encodes the request for the bundle in the guest. */
  bundle(network: GuestNetwork): Any {
    const { request, spec: plan, rootfs, hostname, writable, pod } = this.#plan;
    const { spec, files } = withNetworkFiles(plan.spec, hostname, network);
    return packAny(guest.CreateBundleRequestSchema, {
      id: request.id,
      configJson: encodeOciJson(spec),
      shares: needsShare(this.#plan) ? [{ tag: SHARED_TAG, writable: this.isWritable }] : [],
      rootfs: {
        lower: lowerLayers(rootfs, pod),
        writable: { kind: writableKind(writable, pod) },
      },
      files: files.map((file) => ({ ...file, mode: 0o644 })),
    });
  }

  /**
   * Makes bundle and container in the guest. crun creates the container and does not start it.
   *
   * @returns the pid of its init in the guest, as the guest reports it.
   */
  async create(guest: GuestConnection, bundle: Any, signal: AbortSignal): Promise<number> {
    const { id, terminal, checkpoint } = this.#plan.request;
    const request = {
      id,
      terminal,
      checkpoint: checkpoint === "" ? "" : RESTORED,
      ...streamIds({ ...this.#plan.request, execId: "" }),
      options: bundle,
    };
    const { pid } = await answered("Task.Create", CREATE_CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.create(request, { signal, timeoutMs });
    });
    return pid;
  }

  /** Connects the container's stdio, dialed while the guest is asked for the container. */
  openIo(guest: GuestConnection, signal: AbortSignal): Promise<ProcessIo> {
    return openGuestIo({ ...this.#plan.request, execId: "" }, guest, { ...this.#context, signal });
  }
}

/** The writable layer as the guest is told of it. */
function writableKind(
  layer: WritableLayer,
  pod: PodPlace | null,
): NonNullable<MessageInitShape<typeof guest.WritableSchema>["kind"]> {
  if (layer.kind === "tmpfs") {
    return { case: "tmpfs", value: { sizeBytes: BigInt(layer.mib ?? 0) << 20n } };
  }
  const folder = pod === null ? "" : pod.directory || FIRST_DIRECTORY;
  return { case: layer.kind, value: { serial: WRITABLE_DISK, folder } };
}

/** The image as the guest is told of it, top-most layer first. */
function lowerLayers(
  rootfs: RootfsSource,
  pod: PodPlace | null,
): MessageInitShape<typeof guest.LayerSchema>[] {
  const shared = (name: string) => {
    const subdirectory = pod === null || pod.directory === "" ? name : `${pod.directory}/${name}`;
    return { tag: SHARED_TAG, subdirectory };
  };
  if (rootfs.kind === "mounted") {
    return [{ source: { case: "virtiofs", value: shared(ROOTFS) } }];
  }
  const ranges = layerRanges(filesOf(rootfs.layers));
  let count = 0;
  const next = (): ImageSource => {
    const index = count++;
    if (rootfs.kind === "files") return { case: "file", value: shared(layerName(index)) };
    const { offset, length } = ranges[index]!;
    const [offsetBytes, lengthBytes] = [BigInt(offset), BigInt(length)];
    return { case: "block", value: { serial: LAYER_DISK, offsetBytes, lengthBytes } };
  };
  // In the order of `filesOf`.
  return rootfs.layers.map(({ devices = [] }) => ({
    source: next(),
    devices: devices.map(() => ({ source: next() })),
  }));
}

type ImageSource =
  & NonNullable<MessageInitShape<typeof guest.LayerDeviceSchema>["source"]>
  & { readonly case: "file" | "block" };
