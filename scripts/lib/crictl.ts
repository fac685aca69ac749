/** `crictl`, the command-line client of Kubernetes' half of containerd: a kubelet for tests. */

import { type GoPeer, goPeerFolder } from "./go_peer.ts";

export const CRICTL: GoPeer = {
  name: "crictl",
  module: "sigs.k8s.io/cri-tools",
  version: "1.34.0",
  sum: "h1:KqL9EJ+WgHtz1HR1exezm91n+o8O2uMLs/eHzHJHAWw=",
  programs: ["crictl"],
  tags: "",
  versionVariable: "pkg/version.Version",
};

/** Where tests in the testbed find it. */
export const CRICTL_PROGRAM: string = `${goPeerFolder(CRICTL)}/crictl`;
