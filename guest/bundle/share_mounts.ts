import { quoted } from "../../base/mod.ts";
import { MS } from "../../ffi/mod.ts";
import type { guest } from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";
import type { BundleStep } from "./bundle_step.ts";

// A virtio-fs tag has at most 36 bytes. It becomes the name of a directory.
const TAG = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,35}$/;
// Without the characters that have a meaning in overlayfs's options (":", ",", "\").
const SUBDIRECTORY = /^[A-Za-z0-9._@+-]+(?:\/[A-Za-z0-9._@+-]+)*$/;

/** The virtio-fs shares of a bundle. Each is mounted once, however much of it is used. */
export class ShareMounts {
  readonly steps: BundleStep[] = [];
  readonly #directory: string;
  readonly #mounted = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Mounts a share, unless it is mounted. Returns its mount point.
   *
   * @throws {RpcError} InvalidArgument
   */
  mount({ tag, writable }: { readonly tag: string; readonly writable: boolean }): string {
    if (!TAG.test(tag)) throw invalid(`invalid virtio-fs tag ${quoted(tag)}`);
    const target = `${this.#directory}/${tag}`;
    if (this.#mounted.has(tag)) return target;
    this.#mounted.add(tag);
    const flags = writable ? 0 : MS.RDONLY;
    this.steps.push(
      { do: "directory", path: target, mode: 0o700 },
      { do: "mount", source: tag, target, fstype: "virtiofs", flags, data: null },
    );
    return target;
  }

  /**
   * Returns the path of something on a share once the steps are done.
   *
   * @throws {RpcError} InvalidArgument
   */
  pathOf({ tag, subdirectory }: guest.VirtioFs): string {
    const share = this.mount({ tag, writable: false });
    if (subdirectory === "") return share;
    if (!SUBDIRECTORY.test(subdirectory) || subdirectory.split("/").includes("..")) {
      throw invalid(`invalid subdirectory ${quoted(subdirectory)} of ${tag}`);
    }
    return `${share}/${subdirectory}`;
  }
}
