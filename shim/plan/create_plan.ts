import {
  chooseAccelerator,
  chooseVsockTransport,
  hasSlotLeft,
  hostSize,
  hostTsc,
  limitMib,
  locateFiles,
  memoryWithin,
  probeHost,
  sizeVm,
  type VmFiles,
  type VmSize,
} from "../../qemu/mod.ts";
import { type NetworkPlan, networkRequest, planNetwork, readConfFolder } from "../../net/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import type { Config } from "../config/config.ts";
import {
  checkRequest,
  type ContainerPlan,
  fileBytes,
  needsShare,
  pathKind,
  planImage,
} from "./container_plan.ts";
import type { OciResources, OciSpec } from "./oci.ts";
import { podResources, podRoleOf } from "./pod_role.ts";
import { annotationOf } from "../config/settings.ts";
import { planWritable } from "./writable_plan.ts";
import type { CreateRequest } from "./create_request.ts";
import { type HookState, hookState, type HostHooks, hostHooks } from "./host_hooks.ts";

/** When what a VM has grows, and shrinks again. */
export interface GrowthRules {
  /** Of a second, in which something in the guest waited for it. */
  readonly growPercent: number;
  readonly cooldownMs: number;
}

/** Everything that is decided before anything is acquired: of a container, and of the VM for it. */
export interface CreatePlan extends ContainerPlan {
  readonly network: NetworkPlan;
  /** What is run on the host before and after it; null: nothing. */
  readonly hooks: { readonly hooks: HostHooks; readonly state: HookState } | null;
  readonly files: VmFiles;
  readonly size: VmSize;
  /** Whether memory that is free in the guest goes back to the host. */
  readonly returnsMemory: boolean;
  /** When processors come and go by load; null: they do not. */
  readonly byLoad: GrowthRules | null;
  /** When memory comes and goes by pressure, and how much of it; null: it does not. */
  readonly memoryByPressure: GrowthRules & { readonly mostMib: number } | null;
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
  const ignored = checkRequest(request, spec);
  requireWritable(config.stateDir, "QEMUBOX_STATE_DIR");
  const isPod = podRoleOf(spec.annotations ?? {}).kind === "sandbox";
  const pod = isPod ? { folder: "", namespaces: null } : null;
  const image = planImage(request, spec, config.layers, pod);
  const { rootfs } = image;
  const probe = probeHost();
  const { accelerator, warning } = chooseAccelerator(config.accelerator, probe);
  const transport = chooseVsockTransport(probe);
  const files = locateFiles({
    ...config,
    needsVhostDeviceVsock: transport === "vhost-user",
  });
  const tsc = accelerator === "tcg" ? hostTsc() : null;
  const warnings = [...ignored, ...(warning === undefined ? [] : [warning])];
  if (accelerator === "tcg" && tsc === null) {
    warnings.push("the host's TSC frequency is not known; a guest may hang while it measures it");
  }
  const resources = isPod
    ? podResources(spec.annotations ?? {}) ?? spec.linux?.resources
    : spec.linux?.resources;
  warnings.push(...sizeWarnings(config, resources));
  const hooks = hostHooks(spec);
  const populates = (hooks?.create.length ?? 0) > 0;
  const network = planNetwork(
    { confDir: config.cniConfDir, path: config.cniBinDir, network: config.cniNetwork },
    networkRequest(spec.annotations ?? {}, image.spec.netns, populates),
    readConfFolder,
  );
  if (network.kind === "none" && network.warning !== null) warnings.push(network.warning);
  const isTheirs = network.kind === "own" || network.kind === "existing";
  if (hooks !== null && !isTheirs) {
    warnings.push(
      "hooks of config.json: they are not run for a container whose network qemubox makes itself",
    );
  }
  const { writable, warning: inMemory } = planWritable(config, {
    // A pod's is for all of its containers.
    ofSnapshot: isPod ? null : image.writableImage,
    isFile: (path) => fileBytes(path) !== null,
    slotLeft: hasSlotLeft({
      filesystems: isPod || needsShare(image) ? 1 : 0,
      disks: rootfs.kind === "disk" ? 1 : 0,
      // One that the container joins is looked at later.
      nics: network.kind === "cni" ? network.networks.length : 0,
    }),
  });
  if (inMemory !== null) warnings.push(inMemory);
  const hasDisk = writable.kind !== "tmpfs" || rootfs.kind === "disk";
  if (!hasDisk && limitsDisks(spec)) {
    warnings.push(
      "linux.resources.blockIO: the container has no disk of its own, and nothing limits its I/O; give " +
        `it one (annotation ${annotationOf("writable")}=disk)`,
    );
  }
  const size = sizeVm(resources, hostSize(), config);
  return {
    request,
    spec: image.spec,
    pod,
    network,
    hooks: hooks === null || !isTheirs ? null : { hooks, state: hookState(request, spec) },
    rootfs,
    writable,
    hostname: spec.hostname || request.id.slice(0, 63),
    files,
    size,
    returnsMemory: config.freedMemory === "return",
    byLoad: size.vcpus < size.vcpusMax && Number(resources?.cpu?.quota ?? 0) <= 0
      ? { growPercent: config.vcpusGrowPercent, cooldownMs: config.vcpusCooldownMs }
      : null,
    memoryByPressure: memoryRules(size, resources, config),
    accelerator,
    transport,
    tscKhz: tsc?.khz ?? null,
    warnings,
  };
}

/** Up to its limit, a container gets memory when it needs some. */
function memoryRules(
  { memoryMib, memoryMibMax }: VmSize,
  resources: OciResources | undefined,
  { memoryGrowPercent: growPercent, memoryCooldownMs: cooldownMs }: Config,
): CreatePlan["memoryByPressure"] {
  const mostMib = memoryWithin(resources, memoryMibMax);
  return memoryMib < mostMib ? { growPercent, cooldownMs, mostMib } : null;
}

/** A container that asks for a VM smaller than its own limit gets what it asks for. */
function sizeWarnings(
  { memoryMib, memoryMibMax }: Config,
  resources: OciResources | undefined,
): string[] {
  const limit = limitMib(resources) ?? 0;
  if (memoryMib === null || limit <= Math.max(memoryMib, memoryMibMax ?? 0)) return [];
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
