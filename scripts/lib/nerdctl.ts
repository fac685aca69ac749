/** `nerdctl`, containerd's client with the command line of docker: a peer for tests. */

import { type GoPeer, goPeerDirectory } from "./go_peer.ts";

export const NERDCTL: GoPeer = {
  name: "nerdctl",
  module: "github.com/containerd/nerdctl/v2",
  version: "2.1.2",
  sum: "h1:ykM+PtsTUWplav2vmf/YxyMwiAdEsaLM0FgkM4d95+c=",
  programs: ["nerdctl"],
  tags: "",
  versionVariable: "pkg/version.Version",
};

/** Path of the program in the testbed. */
export const NERDCTL_PROGRAM: string = `${goPeerDirectory(NERDCTL)}/nerdctl`;
