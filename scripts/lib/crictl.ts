/** `crictl`, the command-line client of CRI: it plays the kubelet in tests. */

import { type GoPeer, goPeerDirectory } from "./go_peer.ts";

export const CRICTL: GoPeer = {
  name: "crictl",
  module: "sigs.k8s.io/cri-tools",
  version: "1.34.0",
  sum: "h1:KqL9EJ+WgHtz1HR1exezm91n+o8O2uMLs/eHzHJHAWw=",
  programs: ["crictl"],
  tags: "",
  versionVariable: "pkg/version.Version",
};

/** Path of the program in the testbed. */
export const CRICTL_PROGRAM: string = `${goPeerDirectory(CRICTL)}/crictl`;
