/** A containerd newer than Debian's: a peer for tests. */

import { type GoPeer, goPeerDirectory } from "./go_peer.ts";

export const NEWER_CONTAINERD: GoPeer = {
  name: "containerd",
  module: "github.com/containerd/containerd/v2",
  version: "2.4.2",
  sum: "h1:p6Qg+xbEz8lvwdhHDx0U469xENvp4LgGBx+E7djXkGw=",
  programs: ["containerd", "ctr"],
  tags: "no_btrfs no_cri no_devmapper no_tracing no_zfs",
  versionVariable: "version.Version",
};

/** Directory of its programs in the testbed. */
export const NEWER_CONTAINERD_FOLDER: string = goPeerDirectory(NEWER_CONTAINERD);
