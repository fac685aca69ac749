/**
 * `testbed_setup.ts [--stop]`: the inner half of the testbed, in its namespaces: starts containerd
 * and imports the images for both snapshotters. Ends when containerd is ready for the command;
 * containerd goes on, unless it is to be stopped: what it has made of the images is then for
 * another one. In the lab the images are there already.
 */

import { LAB_TIMEOUTS } from "./lib/lab_timeouts.ts";
import { run } from "./lib/run.ts";

const LAB = Deno.env.get("QEMUBOX_LAB") === "1";
const CONFIG_FILE = "/etc/containerd/config.toml";
const SOCKET = "/run/containerd/containerd.sock";
const LOG_FILE = "/var/log/containerd.log";
const START_TIMEOUT_MS = 30_000;
const POLL_MS = 2;

const QEMUBOX_CONFIG_FILE = "/etc/qemubox/config.json";
const LAB_QEMUBOX_CONFIG = {
  // KVM's usual limit is for hardware; the lab's is emulated.
  boot_timeout_seconds: 300,
  // The emulated processor now and then looks up wrong pages: docs/adr/0009.
  freed_memory: "keep",
};

/** Kubernetes' half, and snapshotters for disks that are not here, only cost time. */
const CONFIG = `version = 3
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.cri.v1.images",
  "io.containerd.cri.v1.runtime",
  "io.containerd.podsandbox.controller.v1.podsandbox",
  "io.containerd.nri.v1.nri",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[plugins.'io.containerd.service.v1.diff-service']
  default = ["erofs", "walking"]
`;

async function main(): Promise<void> {
  const debug = Deno.env.get("TESTBED_DEBUG") === "1";
  await Deno.mkdir("/etc/containerd", { recursive: true });
  await Deno.writeTextFile(CONFIG_FILE, LAB ? CONFIG + LAB_TIMEOUTS : CONFIG);
  const containerd = startContainerd(debug);
  if (LAB) await configureForLab();
  const ended = containerd.status.then(({ code }) => {
    throw new Error(`containerd ended with ${code}`);
  });
  await Promise.race([ready(), ended]);
  if (!LAB) await importImages();
  if (!Deno.args.includes("--stop")) return;
  ended.catch(() => {});
  containerd.kill("SIGTERM");
  await containerd.status;
}

async function configureForLab(): Promise<void> {
  await Deno.mkdir("/etc/qemubox", { recursive: true });
  await Deno.writeTextFile(QEMUBOX_CONFIG_FILE, JSON.stringify(LAB_QEMUBOX_CONFIG));
}

async function importImages(): Promise<void> {
  for (const snapshotter of ["overlayfs", "erofs"]) {
    const command = ["images", "import", "--local", "--snapshotter", snapshotter];
    await run(["ctr", ...command, Deno.env.get("TESTBED_IMAGES")!]);
  }
}

/** In a session of its own, so that Ctrl-C in the command's terminal does not reach it. */
function startContainerd(debug: boolean): Deno.ChildProcess {
  const log = debug ? `2>&1 | tee ${LOG_FILE} >&2` : `>${LOG_FILE} 2>&1`;
  const level = debug ? "debug" : "info";
  return new Deno.Command("/bin/sh", {
    args: ["-c", `${debug ? "" : "exec "}containerd --log-level ${level} ${log}`],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
    detached: true,
  }).spawn();
}

/** containerd binds its socket when its plugins are loaded. */
async function ready(): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      using _connection = await Deno.connect({ transport: "unix", path: SOCKET });
      return;
    } catch {
      if (performance.now() > deadline) throw new Error("containerd does not listen");
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

if (import.meta.main) {
  try {
    await main();
    Deno.exit(0);
  } catch (error) {
    console.error(`testbed: ${error instanceof Error ? error.message : error}`);
    const log = await Deno.readTextFile(LOG_FILE).catch(() => "");
    if (log !== "") console.error(`the end of containerd's log:\n${log.slice(-4000)}`);
    Deno.exit(1);
  }
}
