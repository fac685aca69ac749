import type { OciResources } from "./oci.ts";

/**
 * What a container is to others, as containerd's CRI plugin says by annotations: alone in its VM, the
 * one that a pod's VM is made for (the "pause" container), or one that comes into such a VM.
 */
export type PodRole =
  | { readonly kind: "alone" }
  | { readonly kind: "sandbox" }
  | { readonly kind: "member"; readonly sandboxId: string };

type Annotations = Readonly<Record<string, string>>;

const PREFIX = "io.kubernetes.cri.";
/** The annotation that makes a container part of a pod. */
export const CONTAINER_TYPE = `${PREFIX}container-type`;
const SANDBOX_ID = `${PREFIX}sandbox-id`;

/** @throws Error naming the annotation that says what cannot be. */
export function podRoleOf(annotations: Annotations): PodRole {
  const type = annotations[CONTAINER_TYPE];
  if (type === undefined) return { kind: "alone" };
  if (type === "sandbox") return { kind: "sandbox" };
  if (type !== "container") {
    throw new Error(`annotation ${CONTAINER_TYPE}=${type} is neither "sandbox" nor "container"`);
  }
  const sandboxId = annotations[SANDBOX_ID] ?? "";
  if (sandboxId === "") {
    throw new Error(
      `a container of a pod needs the annotation ${SANDBOX_ID} with the sandbox's id`,
    );
  }
  return { kind: "member", sandboxId };
}

/**
 * The limits that a pod's VM is made for: what the kubelet has summed up over the pod's containers. Where
 * it says nothing, those of its first container, which has none. Pure.
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
