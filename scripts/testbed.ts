/**
 * `scripts/testbed [--debug] [--kvm] CMD…`: builds what is missing or stale, then runs CMD beside a
 * private containerd, both from a Debian root, in new namespaces. This is the outer half: it
 * prepares the host, passes the command's standard streams and exit status through, and cleans up.
 *
 *     testbed.ts ─ setpriv (dies with us) ─ unshare ─ testbed_namespace.sh (PID 1) ─┬ containerd …
 *                                                                                   └ CMD
 *
 * With --kvm, the namespaces hold the lab: a virtual machine with a testbed in it.
 *
 *     … testbed_namespace.sh ─ lab_host.ts ─┬ virtiofsd …
 *                                           └ QEMU ─ lab_init.sh (PID 1) ─ lab_guest.ts ─ …
 */

import { messageOf } from "../base/mod.ts";
import { build, INSTALLED } from "./build.ts";
import { TESTBED_ROOT } from "./lib/debian_packages.ts";
import { debianRoot } from "./lib/debian_root.ts";
import { prepareLab } from "./lib/lab_machine.ts";
import { denoCacheFolder, REPOSITORY } from "./lib/paths.ts";
import { Scratch } from "./lib/scratch.ts";
import { testImages } from "./lib/test_images.ts";

/** Deadline of a lab without --deadline. */
const LAB_MINUTES = 30;
const USAGE = `usage: scripts/testbed [--debug] [--kvm [--deadline MINUTES]] CMD…

Runs CMD with a private containerd (root rights needed), for example:
  scripts/testbed ctr run --rm --runtime io.containerd.qemubox.v1 \\
    docker.io/library/busybox:latest t1 uname -a

  --debug             show containerd's log on standard error
  --kvm               run in the lab: a virtual machine with KVM, vhost-vsock, vhost-net, cgroup v2
  --deadline MINUTES  stop the lab, with status 124, after this time; default ${LAB_MINUTES}
`;

/** The command line. */
export interface TestbedOptions {
  readonly debug: boolean;
  /** Minutes after which the lab is stopped; null without a lab. */
  readonly labMinutes: number | null;
  readonly command: readonly string[];
}

/** @throws {Error} for an unknown option, or without a command */
export function parseArguments(args: readonly string[]): TestbedOptions {
  let [debug, kvm] = [false, false];
  let minutes: number | null = null;
  let at = 0;
  for (; args[at]?.startsWith("-") ?? false; at++) {
    if (args[at] === "--") {
      at++;
      break;
    }
    if (args[at] === "--debug") debug = true;
    else if (args[at] === "--kvm") kvm = true;
    else if (args[at] === "--deadline") minutes = minutesOf(args[++at]);
    else throw new Error(`unknown option ${args[at]}`);
  }
  if (minutes !== null && !kvm) throw new Error("--deadline requires --kvm");
  const command = args.slice(at);
  if (command.length === 0) throw new Error("no command");
  return { debug, labMinutes: kvm ? minutes ?? LAB_MINUTES : null, command };
}

function minutesOf(text: string | undefined): number {
  const minutes = Number(text);
  if (!(minutes > 0)) throw new Error(`--deadline takes minutes, not ${text}`);
  return minutes;
}

/** Runs the command; resolves to its exit status (128 + signal if it was killed). */
export async function testbed({ debug, labMinutes, command }: TestbedOptions): Promise<number> {
  if (Deno.uid() !== 0) {
    throw new Error("the testbed needs root rights for mounts and namespaces; run it as root");
  }
  // No parts of an installation: what the benchmark compares with, and what tests put in place.
  await build([...INSTALLED, "bare", "hostile", "escaped"]);
  const root = await debianRoot(TESTBED_ROOT);
  const images = await testImages(root);
  if (labMinutes !== null) await prepareLab();
  await using scratch = await Scratch.make();
  const child = new Deno.Command("setpriv", {
    args: [
      ...["--pdeathsig", "KILL", "--", "unshare"],
      ...["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"],
      ...["--net", "--ipc", "--uts", "--"],
      ...["/bin/sh", `${REPOSITORY}/scripts/testbed_namespace.sh`, ...command],
    ],
    env: {
      TESTBED_ROOT: root,
      TESTBED_SCRATCH: scratch.path,
      TESTBED_REPOSITORY: REPOSITORY,
      TESTBED_DENO: Deno.execPath(),
      // The tests in the testbed have no network.
      TESTBED_DENO_DIR: denoCacheFolder(),
      TESTBED_IMAGES: images,
      TESTBED_DEBUG: debug ? "1" : "",
      TESTBED_THEN: labMinutes === null ? "testbed_command.sh" : "lab_host.sh",
      TESTBED_LAB_MINUTES: String(labMinutes ?? ""),
    },
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const killedBy = killWithSignals(child);
  const { code } = await child.status;
  return killedBy() ?? code;
}

/**
 * Kills the testbed on SIGTERM and SIGHUP, and on SIGINT unless standard input is a terminal: the
 * terminal sends it to the command as well, which may be a shell that continues. Returns a function
 * that returns the exit status after such a signal, and null without one.
 */
function killWithSignals(child: Deno.ChildProcess): () => number | null {
  let status: number | null = null;
  const killOn = (signal: Deno.Signal, number: number) =>
    Deno.addSignalListener(signal, () => {
      status = 128 + number;
      child.kill("SIGKILL");
    });
  killOn("SIGHUP", 1);
  killOn("SIGTERM", 15);
  Deno.addSignalListener("SIGQUIT", () => {});
  if (Deno.stdin.isTerminal()) Deno.addSignalListener("SIGINT", () => {});
  else killOn("SIGINT", 2);
  return () => status;
}

if (import.meta.main) {
  try {
    Deno.exit(await testbed(parseArguments(Deno.args)));
  } catch (error) {
    console.error(`testbed: ${messageOf(error)}`);
    if (Deno.args.length === 0) console.error(USAGE);
    Deno.exit(2);
  }
}
