import { GUEST_OVERHEAD_MIB, limitMib, type VmSize } from "../../qemu/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { checkRequest, type ContainerPlan, planImage } from "./container_plan.ts";
import type { OciSpec } from "./oci.ts";
import type { WritableLayer } from "./writable_plan.ts";
import type { CreateRequest } from "./create_request.ts";
import { hostHooks } from "./host_hooks.ts";

/** What of a pod's VM the plan of a container depends on that comes into it. */
export interface PodView {
  /** The process of this host that stands for all in the VM. */
  readonly hostPid: number;
  /** The init of the pod's first container, in the guest. */
  readonly guestPid: number;
  readonly hostname: string;
  readonly size: VmSize;
  /** What all of its containers write to. */
  readonly writable: WritableLayer;
}

/**
 * Decides how a container comes into the VM of its pod, which has all the devices that it will ever have:
 * its image and volumes become files of what is shared already, and it writes to the pod's disk. Reads
 * the host, changes nothing.
 *
 * @param folder its place among what is shared, and on the disk.
 * @throws RpcError, UnsupportedSpecError: each names what is wrong and how to mend it.
 */
export function planMember(
  request: CreateRequest,
  spec: OciSpec,
  { hostPid, guestPid, hostname, size, writable }: PodView,
  folder: string,
): ContainerPlan & { readonly warnings: readonly string[] } {
  if (request.checkpoint !== "") {
    const why = "a container of a pod cannot come out of a checkpoint: its VM runs already";
    throw new RpcError(Code.Unimplemented, why);
  }
  const pod = { folder, namespaces: { hostPid, guestPid } };
  const warnings = checkRequest(request, spec);
  const image = planImage(request, spec, "files", pod);
  if (image.rootfs.kind !== "mounted" && image.rootfs.layers.length === 0) {
    const why =
      "all of the root file system is in the snapshot's writable image, which cannot come " +
      "into the VM of a pod: it takes no further disk";
    throw new RpcError(Code.FailedPrecondition, why);
  }
  if (image.writableImage !== null) {
    warnings.push(
      `the snapshot's writable image ${image.writableImage} is not used: the VM of a pod takes no ` +
        "further disk; what the container writes goes to the pod's",
    );
  }
  if (hostHooks(spec) !== null) {
    warnings.push("hooks of config.json: they are not run for a container that comes into a pod");
  }
  const limit = limitMib(spec.linux?.resources) ?? 0;
  if (limit > size.memoryMibMax - GUEST_OVERHEAD_MIB) {
    warnings.push(
      `linux.resources.memory.limit: the pod's VM has ${size.memoryMibMax} MiB, which are full before ` +
        `the container's ${limit} MiB are`,
    );
  }
  return { request, spec: image.spec, rootfs: image.rootfs, writable, hostname, pod, warnings };
}
