import { basename } from "node:path";
import { ifPresent } from "../../base/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import type { Config } from "../config/config.ts";
import type { CreateRequest } from "./create_request.ts";
import { requireSameTerminal } from "./exec_plan.ts";
import type { OciSpec } from "./oci.ts";
import { type ErofsRootfs, type LayerFile, planErofs } from "./rootfs/erofs_plan.ts";
import { DISK_FILES_MAX, filesOf } from "./rootfs/layer_disk.ts";
import type { SnapshotMount } from "./rootfs/snapshot_mount.ts";
import { checkRuntimeOptions } from "./runtime_options.ts";
import { planSpec, type PodPlace, type SpecPlan } from "./spec_plan.ts";
import type { HostPathKind } from "./volume_plan.ts";
import { denyVsock } from "./vsock_filter.ts";
import type { WritableLayer } from "./writable_plan.ts";

/** Where the image comes from. */
export type RootfsSource =
  /** Mounted on the host, as a directory of the share. */
  | { readonly kind: "mounted"; readonly mounts: readonly SnapshotMount[] }
  /** EROFS images, top-most first: parts of one disk, or files of the share. May be empty. */
  | { readonly kind: "disk" | "files"; readonly layers: readonly LayerFile[] };

/** What is decided of a container, in whatever VM it lives. */
export interface ContainerPlan {
  readonly request: CreateRequest;
  readonly spec: SpecPlan;
  readonly rootfs: RootfsSource;
  readonly writable: WritableLayer;
  readonly hostname: string;
  /** Its place in a pod; null: it is alone in its VM. */
  readonly pod: PodPlace | null;
}

/** The plan of a specification and of the mounts of its snapshot. */
export interface ImagePlan {
  readonly spec: SpecPlan;
  readonly rootfs: RootfsSource;
  /** The snapshot's own writable image; null: it has none. */
  readonly writableImage: string | null;
}

/**
 * Checks a request without looking at the host.
 *
 * @returns one line for each option that is ignored.
 * @throws RefusedError `invalid` naming the field.
 */
export function checkRequest(request: CreateRequest, spec: OciSpec): string[] {
  if (spec.process !== undefined) {
    requireSameTerminal(spec.process, request.terminal, "process of config.json:");
  }
  return checkRuntimeOptions(request.options);
}

/**
 * Decides which files of the host a container sees. Reads the host, changes nothing.
 *
 * @throws RefusedError naming what is wrong and how to fix it.
 */
export function planImage(
  request: CreateRequest,
  spec: OciSpec,
  { layers, vsock }: ImageConfig,
  pod: PodPlace | null,
): ImagePlan {
  const mounts = request.rootfs.length > 0
    ? request.rootfs
    : [rootfsOfBundle(request.bundle, spec)];
  const erofs = planErofs(mounts, { fileBytes, isEmptyDirectory });
  const planned = planSpec(spec, request.id, pathKind, request.bundle, pod);
  if (vsock === "deny") denyVsock(planned.spec);
  return {
    spec: planned,
    rootfs: rootfsSource(erofs, mounts, layers),
    writableImage: erofs?.writable ?? null,
  };
}

/** `layers`: how EROFS layers go into the VM. */
export type ImageConfig = Pick<Config, "layers" | "vsock">;

/** Whether the container needs files of the host, through a virtio-fs. */
export function needsShare({ rootfs, spec }: Pick<ImagePlan, "rootfs" | "spec">): boolean {
  return rootfs.kind === "mounted" || rootfs.kind === "files" && rootfs.layers.length > 0 ||
    spec.volumes.length > 0;
}

function rootfsSource(
  erofs: ErofsRootfs | null,
  mounts: readonly SnapshotMount[],
  layersAs: Config["layers"],
): RootfsSource {
  if (erofs === null) return { kind: "mounted", mounts };
  const { layers } = erofs;
  const count = filesOf(layers).length;
  return { kind: count > 0 && count <= DISK_FILES_MAX ? layersAs : "files", layers };
}

/** Without a snapshotter, the directory that the specification names is the root file system. */
function rootfsOfBundle(bundle: string, spec: OciSpec): SnapshotMount {
  const path = spec.root?.path || "rootfs";
  const source = path.startsWith("/") ? path : `${bundle}/${path}`;
  if (pathKind(source) !== "directory") {
    throw new RefusedError(
      "invalid",
      "root file system:",
      `${basename(source)} is not a directory`,
    );
  }
  return { type: "bind", source, options: ["rbind", "ro"] };
}

/** Returns the kind of file at a path of the host. */
export function pathKind(path: string): HostPathKind {
  try {
    const info = Deno.statSync(path);
    if (info.isFile) return "file";
    if (info.isDirectory) return "directory";
    return info.isSocket ? "socket" : info.isFifo ? "fifo" : "device";
  } catch {
    return "missing";
  }
}

/** Returns the size of a regular file in bytes; null: there is none. */
export function fileBytes(path: string): number | null {
  try {
    const info = Deno.statSync(path);
    return info.isFile ? info.size : null;
  } catch {
    return null;
  }
}

/** A directory that cannot be read counts as one with files in it. */
function isEmptyDirectory(path: string): boolean {
  try {
    const first = ifPresent(() => Deno.readDirSync(path)[Symbol.iterator]().next());
    return first?.done ?? true;
  } catch {
    return false;
  }
}
