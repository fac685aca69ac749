/** A step of making a bundle. The undo runs backwards: unmounts, then removes the directory. */
export type BundleStep =
  | { readonly do: "directory"; readonly path: string; readonly mode: number }
  /** A directory of a mounted file system, made unless it exists. */
  | { readonly do: "keep"; readonly path: string; readonly mode: number }
  | {
    readonly do: "file";
    readonly path: string;
    readonly content: Uint8Array;
    readonly mode: number;
  }
  /** A directory on a disk shared with other bundles: the undo removes it with its contents. */
  | { readonly do: "scratch"; readonly path: string }
  /** Enters a directory, so that what the host has mounted there is mounted here as well. */
  | { readonly do: "enter"; readonly path: string }
  | {
    readonly do: "mount";
    readonly source: string;
    readonly target: string;
    readonly fstype: string | null;
    readonly flags: number;
    readonly data: string | null;
    /** Base of relative paths in `data`. */
    readonly workingDirectory?: string;
  }
  /** Adds a partition to a disk. In bytes. */
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
  /** The bundle's directory. */
  readonly path: string;
  readonly steps: readonly BundleStep[];
  /** Mount point of the disk that outlives the container; null if there is none. */
  readonly snapshot: string | null;
}

/** mount(2) takes one page of options; its last byte is the terminator. */
export const MOUNT_DATA_BYTES_MAX = 4_095;
