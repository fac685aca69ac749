/** One mount as containerd describes it (containerd.types.Mount). */
export interface SnapshotMount {
  readonly type: string;
  readonly source: string;
  readonly target?: string;
  readonly options: readonly string[];
}

/** Thrown for mounts that cannot be understood; the message names the mount. */
export class RootfsError extends Error {
  override readonly name = "RootfsError";
}
