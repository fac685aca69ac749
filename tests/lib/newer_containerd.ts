/** A second, newer containerd beside the testbed's, with its own directories and socket. */

import { isThere } from "../../base/mod.ts";
import { NEWER_CONTAINERD, NEWER_CONTAINERD_FOLDER } from "../../scripts/lib/newer_containerd.ts";
import { whyNoPeer } from "./go_peers.ts";
import { OtherContainerd, type Place } from "./other_containerd.ts";

const ROOT = "/var/lib/containerd/newer";
const STATE = "/run/newer-containerd";
const PLACE: Place = {
  name: "the newer containerd",
  root: ROOT,
  state: STATE,
  log: "/var/log/newer-containerd.log",
  programs: `${NEWER_CONTAINERD_FOLDER}/`,
};
const SNAPSHOTS = `${ROOT}/io.containerd.snapshotter.v1.erofs/snapshots`;

/** Returns why the newer containerd is not available here, or null if it is. */
export function whyNoNewerContainerd(): string | null {
  return whyNoPeer(NEWER_CONTAINERD_FOLDER, "containerd");
}

/** A running newer containerd. Disposing it stops it; its state stays for the next one. */
export class NewerContainerd extends OtherContainerd {
  readonly version = NEWER_CONTAINERD.version;

  /** @param erofs options of its EROFS snapshotter, in TOML. */
  static async start(erofs = ""): Promise<NewerContainerd> {
    const containerd = new NewerContainerd(PLACE, configuration(erofs));
    await containerd.start();
    return containerd;
  }

  /** Returns the writable images of its EROFS snapshots. */
  writableImages(): string[] {
    return [...Deno.readDirSync(SNAPSHOTS)]
      .map(({ name }) => `${SNAPSHOTS}/${name}/rwlayer.img`)
      .filter(isThere);
  }

  /** Returns the images of its EROFS layers, oldest first. */
  layerImages(): string[] {
    return [...Deno.readDirSync(SNAPSHOTS)].map(({ name }) => Number(name)).sort((a, b) => a - b)
      .map((number) => `${SNAPSHOTS}/${number}/layer.erofs`)
      .filter(isThere);
  }
}

/** Removes everything that newer containerds made. None may be running. */
export async function forgetNewerContainerd(): Promise<void> {
  await new OtherContainerd(PLACE, "").forget();
}

function configuration(erofs: string): string {
  return `
[plugins.'io.containerd.snapshotter.v1.erofs']
  ${erofs}
[plugins.'io.containerd.service.v1.diff-service']
  default = ["erofs", "walking"]
`;
}
