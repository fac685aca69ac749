/**
 * A second containerd beside the testbed's, with the CRI plugin for Kubernetes: Debian's binary,
 * with a network for its pods and two runtimes, ours and runc for comparison.
 */

import { listIfPresent } from "../../base/mod.ts";
import { CRICTL_PROGRAM } from "../../scripts/lib/crictl.ts";
import { PAUSE_IMAGE } from "../../scripts/lib/test_images.ts";
import { BUSYBOX, Client } from "./ctr.ts";
import { whyNoPeer } from "./go_peers.ts";
import { OtherContainerd, type Place } from "./other_containerd.ts";
import { patience, until } from "./wait.ts";

const PLACE: Place = {
  name: "the containerd for pods",
  root: "/var/lib/containerd/cri",
  state: "/run/cri-containerd",
  log: "/var/log/cri-containerd.log",
  programs: "",
};
/** containerd namespace of all that CRI makes. */
export const CRI_NAMESPACE = "k8s.io";
const STARTS_WITHIN_MS = patience(30_000);
const CONF_DIR = `${PLACE.state}/cni`;
const ADDRESSES = `${PLACE.state}/cni-addresses`;
const NETWORK = "pods";
const BRIDGE = "pods0";
/** The host's address on the pods' bridge. */
export const POD_GATEWAY = "10.91.0.1";
const CONFLIST = {
  cniVersion: "1.0.0",
  name: NETWORK,
  plugins: [{
    type: "bridge",
    bridge: BRIDGE,
    isGateway: true,
    ipam: {
      type: "host-local",
      dataDir: ADDRESSES,
      ranges: [[{ subnet: "10.91.0.0/24", gateway: POD_GATEWAY }]],
      routes: [{ dst: "0.0.0.0/0" }],
    },
  }],
};

/** Directories where a pod may leave something, beside those that system_state.ts covers. */
export const CRI_TREES: readonly string[] = [
  `${PLACE.state}/state/io.containerd.runtime.v2.task/${CRI_NAMESPACE}`,
  `${PLACE.root}/io.containerd.runtime.v2.task/${CRI_NAMESPACE}`,
  ...[PLACE.root, `${PLACE.state}/state`].flatMap((directory) =>
    ["sandboxes", "containers"].map((name) => `${directory}/io.containerd.grpc.v1.cri/${name}`)
  ),
  `${PLACE.root}/io.containerd.snapshotter.v1.overlayfs/snapshots`,
];

/** Returns why pods cannot run here, or null if they can. */
export function whyNoPods(): string | null {
  return whyNoPeer(CRICTL_PROGRAM, "crictl");
}

/** A running containerd with CRI. Disposing it stops it and removes everything it made. */
export class CriContainerd extends OtherContainerd {
  private constructor() {
    super(PLACE, CONFIGURATION);
  }

  static async start(): Promise<CriContainerd> {
    const containerd = new CriContainerd();
    await Deno.mkdir(CONF_DIR, { recursive: true });
    await Deno.writeTextFile(`${CONF_DIR}/pods.conflist`, JSON.stringify(CONFLIST));
    // The plugin would make the bridge for the first pod, and leave it.
    await ip("link", "add", BRIDGE, "type", "bridge");
    try {
      await containerd.start();
      // There is no registry: all images must be present beforehand, the pause image too.
      for (const image of [PAUSE_IMAGE, BUSYBOX]) {
        await containerd.copyImage(image, "overlayfs", CRI_NAMESPACE);
      }
    } catch (error) {
      await containerd[Symbol.asyncDispose]();
      throw error;
    }
    return containerd;
  }

  /** Starts it; resolves when CRI answers, which is later than the socket listens. */
  override async start(): Promise<void> {
    await super.start();
    await until("answer of CRI", STARTS_WITHIN_MS, async () => {
      const args = ["--runtime-endpoint", `unix://${this.socket}`, "pods"];
      return (await new Client(args, { program: CRICTL_PROGRAM }).ended).code === 0 || null;
    });
  }

  /** Makes a directory for the files of one test. It is removed with this containerd. */
  newDirectory(): string {
    return Deno.makeTempDirSync({ dir: PLACE.state, prefix: "files-" });
  }

  /** Returns the addresses that the pods' network has allocated. */
  addresses(): string[] {
    return listIfPresent(`${ADDRESSES}/${NETWORK}`).map(({ name }) => name)
      .filter((name) => !/^last_reserved_ip|^lock$/.test(name));
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await ip("link", "del", BRIDGE);
    await this.forget();
  }
}

async function ip(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args }).output();
  if (!success) throw new Error(`ip ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

function runtime(handler: string, type: string): string {
  return `
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.${handler}]
  runtime_type = "${type}"
  pod_annotations = ["io.qemubox.*"]
  container_annotations = ["io.qemubox.*"]
`;
}

/**
 * `restrict_oom_score_adj`: containerd may run in a container and be unable to lower OOM scores.
 */
const CONFIGURATION = `
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${PAUSE_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  conf_dir = "${CONF_DIR}"
  bin_dirs = ["/usr/lib/cni"]
${runtime("qemubox", "io.containerd.qemubox.v1")}
${runtime("runc", "io.containerd.runc.v2")}
`;
