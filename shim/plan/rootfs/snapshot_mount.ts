import { RefusedError } from "../../base/refused_error.ts";

/** One mount as containerd describes it (containerd.types.Mount). */
export interface SnapshotMount {
  readonly type: string;
  readonly source: string;
  readonly target?: string;
  readonly options: readonly string[];
}

/** Makes the error for mounts that make no root file system; `why` names the mount. */
export function badRootfs(why: string, fix?: string): RefusedError {
  return new RefusedError("invalid", "root file system:", why, fix);
}
