/**
 * What of a root file system's mounts is this shim's to do. containerd's mount manager, from 2.2 on,
 * mounts EROFS images on the host and hands over what lies above them, unless the shim says that it
 * does so itself; then it hands over the images (`erofs_plan.ts`, `rootfs_plan.ts`).
 *
 * `mkfs` is left to containerd: an image for the container to write to comes formatted.
 */
export const MOUNT_CLAIMS = {
  types: ["erofs"],
  transforms: ["format", "mkdir"],
} satisfies Readonly<Record<"types" | "transforms", readonly string[]>>;

/** The same for containerd 2.2 and 2.3, which ask `-info`; 2.4 is told by `start`. */
export const CLAIM_ANNOTATIONS: Readonly<Record<string, string>> = {
  "containerd.io/runtime-allow-mounts": [
    ...MOUNT_CLAIMS.types,
    ...MOUNT_CLAIMS.transforms.map((transform) => `${transform}/*`),
  ].join(","),
};
