/**
 * The relay's half in the lab: runs a testbed there with the command that the host's half
 * (lab_host.ts) names, and passes its streams and its exit status on. Runs beside PID 1, on the
 * read-only root.
 */

import { FRAME, FrameWriter, readFrames, type StartMessage } from "./lib/lab_frames.ts";
import { RELAY_PORT } from "./lib/lab_machine.ts";
import { existing, REPOSITORY } from "./lib/paths.ts";
import { run } from "./lib/run.ts";

/** Lies in memory, as everything that is written in the lab, but for the repository. */
const SCRATCH = "/run/testbed";
/**
 * What makes it a KVM host, and what containerd wants to see before it uses it; most of the rest is
 * loaded at first use.
 */
const MODULES: readonly string[] = ["kvm-amd", "vhost_vsock", "vhost_net", "tun", "loop", "erofs"];

async function main(): Promise<void> {
  const modules = run(["modprobe", "--all", ...MODULES]);
  using port = await Deno.open(portOf(RELAY_PORT), { read: true, write: true });
  const frames = readFrames(port);
  const { value: first } = await frames.next();
  if (first?.type !== FRAME.START) throw new Error("the host's half did not begin with START");
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
  // Whoever wrote died with the namespaces.
  await Promise.all(output);
  await writer.write(FRAME.EXIT, Uint8Array.of(code));
}

/** Goes on until the input ends, or until nobody takes it. */
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
    // The command has closed its input, or has ended.
  }
}

/** @throws {Error} when the machine has no port of this name */
function portOf(name: string): string {
  const folder = "/sys/class/virtio-ports";
  for (const { name: device } of Deno.readDirSync(folder)) {
    if (Deno.readTextFileSync(`${folder}/${device}/name`).trim() === name) return `/dev/${device}`;
  }
  throw new Error(`no virtio port ${name} in ${folder}`);
}

if (import.meta.main) {
  await main();
  // The host's half ends the machine; until then nothing may end here.
  await new Promise(() => setInterval(() => {}, 2 ** 31 - 1));
}
