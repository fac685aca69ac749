import type { Any } from "../../proto/mod.ts";
import type { SnapshotMount } from "./rootfs/snapshot_mount.ts";

/** What containerd asks to create: the parts of its CreateTaskRequest that matter. */
export interface CreateRequest {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: readonly SnapshotMount[];
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  readonly checkpoint: string;
  /** Options of the runtime in containerd's configuration. */
  readonly options?: Any | undefined;
}
