import { type NetworkPlan, networkRequest, planNetwork, readConfFolder } from "../../net/mod.ts";
import { hasSlotLeft, type VmPlan } from "../../qemu/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import { unwritable } from "../base/unwritable.ts";
import type { Config } from "../config/config.ts";
import { annotationOf } from "../config/settings.ts";
import {
  checkRequest,
  type ContainerPlan,
  fileBytes,
  type ImagePlan,
  needsShare,
  pathKind,
  planImage,
} from "./container_plan.ts";
import type { CreateRequest } from "./create_request.ts";
import { type GrowthPlan, planGrowth } from "./growth_plan.ts";
import { type HookState, hookState, type HostHooks, hostHooks } from "./host_hooks.ts";
import type { OciSpec } from "./oci.ts";
import { podResources, podRoleOf } from "./pod_role.ts";
import { planVm } from "./vm_plan.ts";
import { planWritable } from "./writable_plan.ts";

/** Everything that is decided before anything is acquired: a container, and the VM for it. */
export interface CreatePlan {
  readonly container: ContainerPlan;
  readonly vm: VmPlan;
  /** User ids of which QEMU gets one. */
  readonly userIds: Config["userIds"];
  readonly growth: GrowthPlan;
  readonly network: NetworkPlan;
  /** Whether the VM may send with other addresses than its own. */
  readonly spoofing: Config["spoofing"];
  /** Hooks to run on the host before and after the container; null: none. */
  readonly hooks: { readonly hooks: HostHooks; readonly state: HookState } | null;
  /** What is degraded on this host or ignored in this request, one line each. */
  readonly warnings: readonly string[];
}

/**
 * Decides how to create a container and its VM. Reads the host, changes nothing.
 *
 * @throws RefusedError, VmError, NetworkError: each names what is wrong and how to fix it.
 */
export function planCreate(request: CreateRequest, spec: OciSpec, config: Config): CreatePlan {
  requireCheckpoint(request.checkpoint);
  const ignored = checkRequest(request, spec);
  requireWritable(config.stateDir);
  const annotations = spec.annotations ?? {};
  const isPod = podRoleOf(annotations).kind === "sandbox";
  const pod = isPod ? { directory: "", namespaces: null } : null;
  const image = planImage(request, spec, config, pod);
  const resources = (isPod ? podResources(annotations) : null) ?? spec.linux?.resources;
  const { vm, warnings: ofVm } = planVm(resources, config);
  const hooks = hostHooks(spec);
  const network = planNetwork(
    { confDir: config.cniConfDir, path: config.cniBinDir, network: config.cniNetwork },
    networkRequest(annotations, image.spec.netns, (hooks?.create.length ?? 0) > 0),
    readConfFolder,
  );
  const { writable, warning: inMemory } = planWritable(config, {
    // A pod's writable layer is for all of its containers.
    ofSnapshot: isPod ? null : image.writableImage,
    isFile: (path) => fileBytes(path) !== null,
    slotLeft: hasSlotLeft({
      filesystems: isPod || needsShare(image) ? 1 : 0,
      disks: image.rootfs.kind === "disk" ? 1 : 0,
      // The interfaces of a network namespace that the container joins are counted later.
      nics: network.kind === "cni" ? network.networks.length : 0,
    }),
  });
  const { rootfs } = image;
  const hostname = spec.hostname || request.id.slice(0, 63);
  const runsHooks = network.kind === "own" || network.kind === "existing";
  return {
    container: { request, spec: image.spec, pod, rootfs, writable, hostname },
    vm,
    userIds: config.userIds,
    growth: planGrowth(vm.size, resources, config),
    network,
    spoofing: config.spoofing,
    hooks: hooks !== null && runsHooks ? { hooks, state: hookState(request, spec) } : null,
    warnings: [
      ...ignored,
      ...ofVm,
      ...(network.kind === "none" && network.warning !== null ? [network.warning] : []),
      ...(hooks !== null && !runsHooks ? [HOOKS_NOT_RUN] : []),
      ...(inMemory === null ? [] : [inMemory]),
      ...blockIoWarnings(spec, image, writable.kind !== "tmpfs"),
    ],
  };
}

const HOOKS_NOT_RUN =
  "hooks of config.json are not run for a container whose network qemubox makes itself";

/** The limits of block devices hold for the container's own disks in the guest. */
function blockIoWarnings(
  spec: OciSpec,
  { rootfs }: Pick<ImagePlan, "rootfs">,
  hasWritableDisk: boolean,
): string[] {
  if (hasWritableDisk || rootfs.kind === "disk" || !limitsDisks(spec)) return [];
  return [
    "linux.resources.blockIO: the container has no disk of its own and nothing limits its I/O: " +
    `give it one (annotation ${annotationOf("writable")}=disk)`,
  ];
}

function limitsDisks(spec: OciSpec): boolean {
  const blockIO = spec.linux?.resources?.blockIO ?? {};
  return Object.entries(blockIO).some(([key, list]) =>
    key.startsWith("throttle") && Array.isArray(list) && list.length > 0
  );
}

/** @throws RefusedError `invalid` naming the path, if it is neither empty nor a directory. */
function requireCheckpoint(path: string): void {
  if (path === "" || pathKind(path) === "directory") return;
  throw new RefusedError("invalid", `checkpoint ${path}`, "is not a directory");
}

/** @throws RefusedError `host` naming the directory, and the variable that moves it. */
function requireWritable(stateDir: string): void {
  try {
    Deno.mkdirSync(stateDir, { recursive: true, mode: 0o711 });
    const probe = Deno.makeTempFileSync({ dir: stateDir, prefix: ".writable-" });
    Deno.removeSync(probe);
  } catch (error) {
    throw unwritable(`state directory ${stateDir}`, "state_dir", error);
  }
}
