import type { CreateRequest } from "./create_request.ts";
import { basename } from "node:path";
import { Code, RpcError } from "../../proto/mod.ts";
import type { Config } from "../config/config.ts";
import { requireSameTerminal } from "./exec_plan.ts";
import { type ErofsRootfs, type LayerFile, planErofs } from "./rootfs/erofs_plan.ts";
import { DISK_FILES_MAX, filesOf } from "./rootfs/layer_disk.ts";
import { type OciSpec, readSpec } from "./oci.ts";
import type { SnapshotMount } from "./rootfs/rootfs_plan.ts";
import { checkRuntimeOptions } from "./runtime_options.ts";
import { type HostPathKind, planSpec, type PodPlace, type SpecPlan } from "./spec_plan.ts";
import type { WritableLayer } from "./writable_plan.ts";

/** Where the image comes from. */
export type RootfsSource =
  /** Mounted on the host, and a folder of what is shared. */
  | { readonly kind: "mounted"; readonly mounts: readonly SnapshotMount[] }
  /** EROFS images, top-most first: parts of one disk, or files of what is shared. May be none. */
  | { readonly kind: "disk" | "files"; readonly layers: readonly LayerFile[] };

/** What is decided of a container, whatever VM it lives in. */
export interface ContainerPlan {
  readonly request: CreateRequest;
  readonly spec: SpecPlan;
  readonly rootfs: RootfsSource;
  readonly writable: WritableLayer;
  readonly hostname: string;
  /** Its place among others; null: it is alone in its VM. */
  readonly pod: PodPlace | null;
}

/** What a specification and the mounts of a snapshot come to. */
export interface ImagePlan {
  readonly spec: SpecPlan;
  readonly rootfs: RootfsSource;
  /** The snapshot's own writable image; null: it has none. */
  readonly writableImage: string | null;
}

/**
 * Checks what needs no look at the host.
 * @returns what is ignored; one line each.
 * @throws RpcError InvalidArgument
 */
export function checkRequest(request: CreateRequest, spec: OciSpec): string[] {
  if (spec.process !== undefined) {
    requireSameTerminal(spec.process, request.terminal, "process of config.json");
  }
  return checkRuntimeOptions(request.options);
}

/**
 * Decides what of the host a container gets to see. Reads the host, changes nothing.
 *
 * @param layers how EROFS layers go into the VM.
 * @throws RpcError, UnsupportedSpecError: each names what is wrong and how to mend it.
 */
export function planImage(
  request: CreateRequest,
  spec: OciSpec,
  layers: Config["layers"],
  pod: PodPlace | null,
): ImagePlan {
  const mounts = request.rootfs.length > 0
    ? request.rootfs
    : [rootfsOfBundle(request.bundle, spec)];
  const erofs = planErofs(mounts, { fileBytes, isEmptyFolder });
  return {
    spec: planSpec(spec, request.id, pathKind, request.bundle, pod),
    rootfs: rootfsSource(erofs, mounts, layers),
    writableImage: erofs?.writable ?? null,
  };
}

/** Whether the host's files are needed, through a virtio-fs. */
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

/** Reads the specification of a request's bundle. @throws RpcError InvalidArgument. */
export function specOf(bundle: string): OciSpec {
  try {
    return readSpec(bundle);
  } catch (error) {
    throw new RpcError(Code.InvalidArgument, (error as Error).message);
  }
}

/** Without a snapshotter, the folder that the specification names is the root file system. */
function rootfsOfBundle(bundle: string, spec: OciSpec): SnapshotMount {
  const path = spec.root?.path || "rootfs";
  const source = path.startsWith("/") ? path : `${bundle}/${path}`;
  if (pathKind(source) !== "directory") {
    throw new RpcError(
      Code.InvalidArgument,
      `no root file system: ${basename(source)} is no folder`,
    );
  }
  return { type: "bind", source, options: ["rbind", "ro"] };
}

/** What is at a path of the host. */
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

/** The size of a file; null: there is none. */
export function fileBytes(path: string): number | null {
  try {
    const info = Deno.statSync(path);
    return info.isFile ? info.size : null;
  } catch {
    return null;
  }
}

function isEmptyFolder(path: string): boolean {
  try {
    for (const _ of Deno.readDirSync(path)) return false;
    return true;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}
