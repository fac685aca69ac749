/** One thing to do, in order. Undone backwards: unmount what was mounted, then remove the folder. */
export type BundleStep =
  | { readonly do: "folder"; readonly path: string; readonly mode: number }
  /** A folder of what was mounted, made unless it is there. */
  | { readonly do: "keep"; readonly path: string; readonly mode: number }
  | {
    readonly do: "file";
    readonly path: string;
    readonly content: Uint8Array;
    readonly mode: number;
  }
  /** A folder of a disk that others have folders on: it is removed with all that is in it. */
  | { readonly do: "scratch"; readonly path: string }
  /** Enters a folder, so that what the host has mounted there is mounted here as well. */
  | { readonly do: "enter"; readonly path: string }
  | {
    readonly do: "mount";
    readonly source: string;
    readonly target: string;
    readonly fstype: string | null;
    readonly flags: number;
    readonly data: string | null;
    /** Relative paths in `data` start here. */
    readonly workingDirectory?: string;
  }
  /** Cuts a partition out of a disk. Bytes. */
  | {
    readonly do: "partition";
    readonly disk: string;
    readonly number: number;
    readonly offset: number;
    readonly length: number;
  };

/** How a bundle is made. */
export interface BundlePlan {
  readonly id: string;
  /** The bundle's folder. */
  readonly path: string;
  readonly steps: readonly BundleStep[];
  /** Where something is mounted that outlives the container; null: nothing is. */
  readonly snapshot: string | null;
}
