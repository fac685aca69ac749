/** `nerdctl`, containerd's client that people use as they use docker: a peer for tests. */

import { type GoPeer, goPeerFolder } from "./go_peer.ts";

export const NERDCTL: GoPeer = {
  name: "nerdctl",
  module: "github.com/containerd/nerdctl/v2",
  version: "2.1.2",
  sum: "h1:ykM+PtsTUWplav2vmf/YxyMwiAdEsaLM0FgkM4d95+c=",
  programs: ["nerdctl"],
  tags: "",
  versionVariable: "pkg/version.Version",
};

/** Where tests in the testbed find it. */
export const NERDCTL_PROGRAM: string = `${goPeerFolder(NERDCTL)}/nerdctl`;
