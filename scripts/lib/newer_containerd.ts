/** A containerd that is newer than Debian's, as a peer for tests. */

import { type GoPeer, goPeerFolder } from "./go_peer.ts";

export const NEWER_CONTAINERD: GoPeer = {
  name: "containerd",
  module: "github.com/containerd/containerd/v2",
  version: "2.4.2",
  sum: "h1:p6Qg+xbEz8lvwdhHDx0U469xENvp4LgGBx+E7djXkGw=",
  programs: ["containerd", "ctr"],
  tags: "no_btrfs no_cri no_devmapper no_tracing no_zfs",
  versionVariable: "version.Version",
};

/** Where tests in the testbed find it. */
export const NEWER_CONTAINERD_FOLDER: string = goPeerFolder(NEWER_CONTAINERD);
