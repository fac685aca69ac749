/**
 * Mounts of a root file system that this shim makes itself. containerd's mount manager, from 2.2
 * on, mounts EROFS images on the host and passes the mounts above them, unless the shim claims
 * them; then it passes the images (`erofs_plan.ts`, `rootfs_plan.ts`).
 *
 * `mkfs` stays with containerd: a writable image arrives formatted.
 */
export const MOUNT_CLAIMS = {
  types: ["erofs"],
  transforms: ["format", "mkdir"],
} satisfies Readonly<Record<"types" | "transforms", readonly string[]>>;

/** The same for containerd 2.2 and 2.3, which ask `-info`; 2.4 reads the answer of `start`. */
export const CLAIM_ANNOTATIONS: Readonly<Record<string, string>> = {
  "containerd.io/runtime-allow-mounts": [
    ...MOUNT_CLAIMS.types,
    ...MOUNT_CLAIMS.transforms.map((transform) => `${transform}/*`),
  ].join(","),
};
