import { RefusedError } from "../base/refused_error.ts";
import type { OciResources } from "./oci.ts";

/**
 * A container's role, by the annotations of containerd's CRI plugin: alone in its VM, the one that
 * a pod's VM is made for (the "pause" container), or one that joins such a VM.
 */
export type PodRole =
  | { readonly kind: "alone" }
  | { readonly kind: "sandbox" }
  | { readonly kind: "container"; readonly sandboxId: string };

type Annotations = Readonly<Record<string, string>>;

const PREFIX = "io.kubernetes.cri.";
/** The annotation that makes a container part of a pod. */
export const CONTAINER_TYPE = `${PREFIX}container-type`;
const SANDBOX_ID = `${PREFIX}sandbox-id`;

/** @throws RefusedError `invalid` naming the annotation. */
export function podRoleOf(annotations: Annotations): PodRole {
  const type = annotations[CONTAINER_TYPE];
  if (type === undefined) return { kind: "alone" };
  if (type === "sandbox") return { kind: "sandbox" };
  if (type !== "container") {
    const why = 'is neither "sandbox" nor "container"';
    throw new RefusedError("invalid", `annotation ${CONTAINER_TYPE}=${type}`, why);
  }
  const sandboxId = annotations[SANDBOX_ID] ?? "";
  if (sandboxId === "") {
    const why = "is missing";
    const fix = "a pod container needs it with the sandbox's id";
    throw new RefusedError("invalid", `annotation ${SANDBOX_ID}`, why, fix);
  }
  return { kind: "container", sandboxId };
}

/**
 * Returns the limits that a pod's VM is made for, which the kubelet sums up over the pod's
 * containers; null: the annotations have none. Pure.
 */
export function podResources(annotations: Annotations): OciResources | null {
  const amount = (name: string) => {
    const text = annotations[`${PREFIX}sandbox-${name}`] ?? "";
    return /^[1-9]\d{0,17}$/.test(text) ? BigInt(text) : null;
  };
  const [limit, quota, period] = [amount("memory"), amount("cpu-quota"), amount("cpu-period")];
  if (limit === null && quota === null) return null;
  return {
    ...(limit === null ? {} : { memory: { limit } }),
    ...(quota === null ? {} : { cpu: { quota, ...(period === null ? {} : { period }) } }),
  };
}
