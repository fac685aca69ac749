/**
 * The lab's half of the relay: runs a testbed in the lab with the command that the host's half
 * (lab_host.ts) sends, and passes its streams and exit status on. Runs beside PID 1, on the
 * read-only root.
 */

import { FRAME, FrameWriter, readFrames, type StartMessage } from "./lib/lab_frames.ts";
import { RELAY_PORT } from "./lib/lab_machine.ts";
import { existing, REPOSITORY } from "./lib/paths.ts";
import { run } from "./lib/run.ts";

/** In memory, like everything written in the lab outside of the repository. */
const SCRATCH = "/run/testbed";
/**
 * Modules of a KVM host, and those that containerd looks for before it uses them; most others are
 * loaded on first use.
 */
const MODULES: readonly string[] = ["kvm-amd", "vhost_vsock", "vhost_net", "tun", "loop", "erofs"];

async function main(): Promise<void> {
  const modules = run(["modprobe", "--all", ...MODULES]);
  using port = await Deno.open(portOf(RELAY_PORT), { read: true, write: true });
  const frames = readFrames(port);
  const { value: first } = await frames.next();
  if (first?.type !== FRAME.START) throw new Error("first frame of the host's half is not START");
  const start: StartMessage = JSON.parse(new TextDecoder().decode(first.data));
  await Deno.mkdir(SCRATCH);
  await modules;
  const child = new Deno.Command("unshare", {
    args: [
      ...["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"],
      ...["--ipc", "--uts", "--"],
      ...["/bin/sh", `${REPOSITORY}/scripts/testbed_namespace.sh`, ...start.command],
    ],
    clearEnv: true,
    env: {
      ...start.environment,
      QEMUBOX_LAB: "1",
      TESTBED_ROOT: "/",
      TESTBED_SCRATCH: SCRATCH,
      TESTBED_THEN: "testbed_command.sh",
    },
    cwd: existing(start.directory) ?? "/",
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = new FrameWriter(port);
  const output = [
    writer.writeAll(FRAME.STDOUT, child.stdout),
    writer.writeAll(FRAME.STDERR, child.stderr),
  ];
  passInput(frames, child.stdin);
  const { code } = await child.status;
  // All writers died with the namespaces, so both streams end.
  await Promise.all(output);
  await writer.write(FRAME.EXIT, Uint8Array.of(code));
}

/** Copies the input to `sink` until either ends. */
async function passInput(
  frames: ReturnType<typeof readFrames>,
  sink: WritableStream<Uint8Array>,
): Promise<void> {
  const writer = sink.getWriter();
  try {
    for await (const { type, data } of frames) {
      if (type !== FRAME.STDIN) throw new Error(`unexpected frame ${type}`);
      if (data.length === 0) return await writer.close();
      await writer.write(data);
    }
  } catch {
    // The command closed its input or exited.
  }
}

/**
 * Returns the device of the virtio port `name`.
 *
 * @throws {Error} when the machine has no such port
 */
function portOf(name: string): string {
  const directory = "/sys/class/virtio-ports";
  for (const { name: device } of Deno.readDirSync(directory)) {
    if (Deno.readTextFileSync(`${directory}/${device}/name`).trim() === name) {
      return `/dev/${device}`;
    }
  }
  throw new Error(`no virtio port ${name} in ${directory}`);
}

if (import.meta.main) {
  await main();
  // The host's half stops the machine; until then this process must not exit.
  await new Promise(() => setInterval(() => {}, 2 ** 31 - 1));
}
