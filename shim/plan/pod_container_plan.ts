import { GUEST_OVERHEAD_MIB, limitMib, type VmSize } from "../../qemu/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import type { Config } from "../config/config.ts";
import { checkRequest, type ContainerPlan, planImage } from "./container_plan.ts";
import type { CreateRequest } from "./create_request.ts";
import { hostHooks } from "./host_hooks.ts";
import type { OciSpec } from "./oci.ts";
import type { WritableLayer } from "./writable_plan.ts";

/** The parts of a pod's VM that the plan of a further container depends on. */
export interface PodView {
  /** The process of this host that stands for all in the VM. */
  readonly hostPid: number;
  /** The init of the pod's first container, in the guest. */
  readonly guestPid: number;
  readonly hostname: string;
  readonly size: VmSize;
  /** The writable layer of all containers of the pod. */
  readonly writable: WritableLayer;
}

/**
 * Decides how a container is added to the VM of its pod, which takes no further device: image and
 * volumes become files of the share that is there, and the container writes to the pod's disk.
 * Reads the host, changes nothing.
 *
 * @param directory the container's place in the share and on the disk.
 * @throws RefusedError naming what is wrong and how to fix it.
 */
export function planPodContainer(
  request: CreateRequest,
  spec: OciSpec,
  { hostPid, guestPid, hostname, size, writable }: PodView,
  directory: string,
  { vsock }: Pick<Config, "vsock">,
): { readonly container: ContainerPlan; readonly warnings: readonly string[] } {
  if (request.checkpoint !== "") {
    const why = "cannot be restored into the VM of a pod: its VM runs already";
    throw new RefusedError("unsupported", `checkpoint ${request.checkpoint}`, why);
  }
  const pod = { directory, namespaces: { hostPid, guestPid } };
  const warnings = checkRequest(request, spec);
  const image = planImage(request, spec, { layers: "files", vsock }, pod);
  const { rootfs, writableImage } = image;
  if (rootfs.kind !== "mounted" && rootfs.layers.length === 0) {
    const why = `is all in the snapshot's writable image ${writableImage}, and the VM of a pod ` +
      "takes no further disk";
    throw new RefusedError("host", "root file system", why);
  }
  if (writableImage !== null) {
    warnings.push(
      `the snapshot's writable image ${writableImage} is not used: the VM of a pod takes no ` +
        "further disk, and the container writes to the pod's",
    );
  }
  if (hostHooks(spec) !== null) {
    warnings.push("hooks of config.json are not run for a container that joins a pod");
  }
  const limit = limitMib(spec.linux?.resources) ?? 0;
  if (limit > size.memoryMibMax - GUEST_OVERHEAD_MIB) {
    warnings.push(
      `linux.resources.memory.limit: the pod's VM has ${size.memoryMibMax} MiB and is full ` +
        `before the container reaches its ${limit} MiB`,
    );
  }
  return { container: { request, spec: image.spec, rootfs, writable, hostname, pod }, warnings };
}
