/**
 * `testbed_setup.ts [--stop]`: the inner half of the testbed, in its namespaces. Starts containerd
 * and imports the images for both snapshotters; exits when containerd is ready for the command.
 * containerd keeps running, unless --stop is given: another one then uses the imported images. In
 * the lab the images are already there.
 */

import { messageOf, poll } from "../base/mod.ts";
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
  // The defaults assume hardware; the lab's KVM is emulated.
  boot_timeout_seconds: 300,
  guest_timeout_seconds: 300,
  kill_timeout_seconds: 120,
  // The emulated CPU occasionally looks up wrong pages: docs/adr/0009.
  freed_memory: "keep",
};

/** The CRI plugins, and snapshotters for disks that are not here, would only cost time. */
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
  const exited = containerd.status.then(({ code }) => {
    throw new Error(`containerd exited with ${code}`);
  });
  await Promise.race([ready(), exited]);
  if (!LAB) await importImages();
  if (!Deno.args.includes("--stop")) return;
  exited.catch(() => {});
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

/** Starts it in its own session, so that Ctrl-C in the command's terminal does not reach it. */
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

/** Waits for containerd, which binds its socket when its plugins are loaded. */
async function ready(): Promise<void> {
  const connects = async () => {
    try {
      using _connection = await Deno.connect({ transport: "unix", path: SOCKET });
      return true;
    } catch {
      return null;
    }
  };
  const listens = await poll(connects, { everyMs: POLL_MS, timeoutMs: START_TIMEOUT_MS });
  if (listens === null) throw new Error(`containerd does not listen on ${SOCKET}`);
}

if (import.meta.main) {
  try {
    await main();
    Deno.exit(0);
  } catch (error) {
    console.error(`testbed: ${messageOf(error)}`);
    const log = await Deno.readTextFile(LOG_FILE).catch(() => "");
    if (log !== "") console.error(`end of containerd's log:\n${log.slice(-4000)}`);
    Deno.exit(1);
  }
}
