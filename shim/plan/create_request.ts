import type { Any } from "../../proto/mod.ts";
import type { SnapshotMount } from "./rootfs/rootfs_plan.ts";

/** What containerd asks to be created; the parts of its CreateTaskRequest that matter. */
export interface CreateRequest {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: readonly SnapshotMount[];
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  readonly checkpoint: string;
  /** Of the runtime, from containerd's configuration. */
  readonly options?: Any | undefined;
}
