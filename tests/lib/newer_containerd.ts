/** A containerd that is newer than the testbed's, beside it, with everything of its own. */

import { NEWER_CONTAINERD, NEWER_CONTAINERD_FOLDER } from "../../scripts/lib/newer_containerd.ts";
import { existing } from "../../scripts/lib/paths.ts";
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

/** Why it cannot be had here; null when it can. */
export function whyNoNewerContainerd(): string | null {
  return whyNoPeer(NEWER_CONTAINERD_FOLDER, "containerd");
}

/** One that runs. Disposing it ends it; what it knows is there for the next one. */
export class NewerContainerd extends OtherContainerd {
  readonly version = NEWER_CONTAINERD.version;

  /** @param erofs the options of its EROFS snapshotter, in TOML. */
  static async start(erofs = ""): Promise<NewerContainerd> {
    const containerd = new NewerContainerd(PLACE, configuration(erofs));
    await containerd.start();
    return containerd;
  }

  /** The writable images of its EROFS snapshots. */
  writableImages(): string[] {
    return [...Deno.readDirSync(SNAPSHOTS)]
      .map(({ name }) => `${SNAPSHOTS}/${name}/rwlayer.img`)
      .filter((path) => existing(path) !== null);
  }

  /** The images of its EROFS layers, in the order in which they came. */
  layerImages(): string[] {
    return [...Deno.readDirSync(SNAPSHOTS)].map(({ name }) => Number(name)).sort((a, b) => a - b)
      .map((number) => `${SNAPSHOTS}/${number}/layer.erofs`)
      .filter((path) => existing(path) !== null);
  }
}

/** Removes all that it has made. None may run. */
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
