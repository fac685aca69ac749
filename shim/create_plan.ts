import { basename } from "node:path";
import {
  chooseAccelerator,
  chooseVsockTransport,
  hostSize,
  hostTsc,
  locateFiles,
  probeHost,
  sizeVm,
  type VmFiles,
  type VmSize,
} from "../qemu/mod.ts";
import { type NetworkPlan, networkRequest, planNetwork, readConfFolder } from "../net/mod.ts";
import { type Any, Code, RpcError } from "../proto/mod.ts";
import type { Config } from "./config.ts";
import { requireSameTerminal } from "./exec_plan.ts";
import { type LayerFile, planErofs } from "./erofs_plan.ts";
import { type OciSpec, readSpec } from "./oci.ts";
import type { SnapshotMount } from "./rootfs_plan.ts";
import { checkRuntimeOptions } from "./runtime_options.ts";
import { annotationOf } from "./settings.ts";
import { type HostPathKind, planSpec, type SpecPlan } from "./spec_plan.ts";
import { templatePath } from "./writable_disk.ts";

/** What containerd asks to be created; the parts of its CreateTaskRequest that matter. */
export interface CreateRequest {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: readonly SnapshotMount[];
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  readonly checkpoint: string;
  /** Of the runtime, from containerd's configuration. */
  readonly options?: Any | undefined;
}

/** Where the image comes from. */
export type RootfsSource =
  /** Mounted on the host, and a folder of what is shared. */
  | { readonly kind: "mounted"; readonly mounts: readonly SnapshotMount[] }
  /** EROFS images, top-most first: parts of one disk, or files of what is shared. */
  | { readonly kind: "disk" | "files"; readonly layers: readonly LayerFile[] };

/** Where what the container writes goes. */
export type WritableLayer =
  /** null: half of the VM's memory. */
  | { readonly kind: "tmpfs"; readonly mib: number | null }
  | { readonly kind: "disk"; readonly mib: number; readonly mkfsPath: string | null };

/** Of a disk whose size nobody says; it is as large as what is written to it. */
const WRITABLE_DISK_MIB = 10 * 1024;
const MKFS_PLACES = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"];

/** Everything that is decided before anything is acquired. */
export interface CreatePlan {
  readonly request: CreateRequest;
  readonly spec: SpecPlan;
  readonly rootfs: RootfsSource;
  readonly writable: WritableLayer;
  readonly hostname: string;
  readonly network: NetworkPlan;
  readonly files: VmFiles;
  readonly size: VmSize;
  /** Whether memory that is free in the guest goes back to the host. */
  readonly returnsMemory: boolean;
  /** When processors come and go by load; null: they do not. */
  readonly byLoad: { readonly growPercent: number; readonly cooldownMs: number } | null;
  readonly accelerator: "kvm" | "tcg";
  readonly transport: "kernel" | "vhost-user";
  readonly tscKhz: number | null;
  /** What works less well here than it could; one line each. */
  readonly warnings: readonly string[];
}

/**
 * Decides how to create a container and its VM. Reads the host, changes nothing.
 * @throws RpcError, VmError, UnsupportedSpecError: each names what is wrong and how to mend it.
 */
export function planCreate(request: CreateRequest, spec: OciSpec, config: Config): CreatePlan {
  if (request.checkpoint !== "" && pathKind(request.checkpoint) !== "directory") {
    const why = `no checkpoint: ${request.checkpoint} is no folder`;
    throw new RpcError(Code.InvalidArgument, why);
  }
  if (spec.process !== undefined) {
    requireSameTerminal(spec.process, request.terminal, "process of config.json");
  }
  const ignoredOptions = checkRuntimeOptions(request.options);
  requireWritable(config.stateDir, "QEMUBOX_STATE_DIR");
  const probe = probeHost();
  const { accelerator, warning } = chooseAccelerator(config.accelerator, probe);
  const transport = chooseVsockTransport(probe);
  const writable = writableLayer(config);
  const files = locateFiles({
    ...config,
    needsVhostDeviceVsock: transport === "vhost-user",
  });
  const tsc = accelerator === "tcg" ? hostTsc() : null;
  const warnings = [...ignoredOptions, ...(warning === undefined ? [] : [warning])];
  if (accelerator === "tcg" && tsc === null) {
    warnings.push("the host's TSC frequency is not known; a guest may hang while it measures it");
  }
  warnings.push(...sizeWarnings(config, spec));
  const specPlan = planSpec(spec, request.id, pathKind, request.bundle);
  const network = planNetwork(
    { confDir: config.cniConfDir, path: config.cniBinDir, network: config.cniNetwork },
    networkRequest(spec.annotations ?? {}, specPlan.netns),
    readConfFolder,
  );
  if (network.kind === "none" && network.warning !== null) warnings.push(network.warning);
  const mounts = request.rootfs.length > 0
    ? request.rootfs
    : [rootfsOfBundle(request.bundle, spec)];
  const layers = planErofs(mounts, { fileBytes, isEmptyFolder });
  const hasDisk = writable.kind === "disk" || layers !== null && config.layers === "disk";
  if (!hasDisk && limitsDisks(spec)) {
    warnings.push(
      "linux.resources.blockIO: the container has no disk of its own, and nothing limits its I/O; give " +
        `it one (annotation ${annotationOf("writable")}=disk)`,
    );
  }
  const size = sizeVm(spec.linux?.resources, hostSize(), config);
  return {
    request,
    spec: specPlan,
    network,
    rootfs: layers === null ? { kind: "mounted", mounts } : { kind: config.layers, layers },
    writable,
    hostname: spec.hostname || request.id.slice(0, 63),
    files,
    size,
    returnsMemory: config.freedMemory === "return",
    byLoad: size.vcpus < size.vcpusMax && Number(spec.linux?.resources?.cpu?.quota ?? 0) <= 0
      ? { growPercent: config.vcpusGrowPercent, cooldownMs: config.vcpusCooldownMs }
      : null,
    accelerator,
    transport,
    tscKhz: tsc?.khz ?? null,
    warnings,
  };
}

function writableLayer(config: Config): WritableLayer {
  if (config.writable === "tmpfs") return { kind: "tmpfs", mib: config.writableMib };
  const mib = config.writableMib ?? WRITABLE_DISK_MIB;
  const isThere = fileBytes(templatePath({ stateDir: config.stateDir, mib })) !== null;
  return { kind: "disk", mib, mkfsPath: isThere ? null : locateMkfs(config.mkfsPath) };
}

/** @throws RpcError FailedPrecondition that says how to mend it. */
function locateMkfs(asked: string | null): string {
  const places = asked === null ? MKFS_PLACES : [asked];
  const found = places.find((path) => fileBytes(path) !== null);
  if (found !== undefined) return found;
  throw new RpcError(
    Code.FailedPrecondition,
    `mkfs.ext4 not found at ${places.join(", nor at ")}: install e2fsprogs, set mkfs_path in ` +
      "/etc/qemubox/config.json, or have the writable layer in memory (writable: tmpfs)",
  );
}

/** A container that asks for a VM smaller than its own limit gets what it asks for. */
function sizeWarnings({ memoryMib }: Config, spec: OciSpec): string[] {
  const limit = Number(spec.linux?.resources?.memory?.limit ?? 0);
  if (memoryMib === null || limit <= memoryMib * 1024 * 1024) return [];
  return [
    `annotation ${
      annotationOf("memory_mib")
    }=${memoryMib} is less than the memory limit: the VM is full ` +
    "before the container is",
  ];
}

function limitsDisks(spec: OciSpec): boolean {
  const blockIO = spec.linux?.resources?.blockIO ?? {};
  return Object.entries(blockIO).some(([key, list]) =>
    key.startsWith("throttle") && Array.isArray(list) && list.length > 0
  );
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

function pathKind(path: string): HostPathKind {
  try {
    const info = Deno.statSync(path);
    if (info.isFile) return "file";
    if (info.isDirectory) return "directory";
    return info.isSocket ? "socket" : info.isFifo ? "fifo" : "device";
  } catch {
    return "missing";
  }
}

function fileBytes(path: string): number | null {
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

/** @throws RpcError FailedPrecondition that names the folder and the variable that moves it. */
function requireWritable(folder: string, variable: string): void {
  try {
    Deno.mkdirSync(folder, { recursive: true, mode: 0o711 });
    const probe = Deno.makeTempFileSync({ dir: folder, prefix: ".writable-" });
    Deno.removeSync(probe);
  } catch (error) {
    throw new RpcError(
      Code.FailedPrecondition,
      `state folder ${folder} cannot be written (${(error as Error).message}): ` +
        `make it writable or set ${variable}`,
    );
  }
}
