import { timed } from "./clock.ts";
import type { Measure } from "./measure.ts";
import { sandboxProcesses } from "./sandbox_processes.ts";
import { Rootfs, ShimContainer } from "./shim_container.ts";

const SOURCE_BLOCK_BYTES = 65_536;
const SOURCE_BLOCKS = 1_024;
const BYTES = SOURCE_BLOCKS * SOURCE_BLOCK_BYTES;
/** Turns in one container, after one that only warms up. */
const TURNS = 3;
const PORT = 4_000;
/** The most that vhost-device-vsock takes at once, see guest/base/port.ts. */
const BLOCK_BYTES = 28_672;
/** Fast enough not to be the bottleneck; busybox's head(1) goes byte by byte. */
const SOURCE = `/bin/dd if=/dev/zero bs=${SOURCE_BLOCK_BYTES} count=${SOURCE_BLOCKS} 2>/dev/null`;

/**
 * A container's stdout to a client that discards it, against `socat` with the same bytes over the
 * same vsock device, from the start of the process to the end of the stream.
 */
export const stdout: Measure = {
  name: "stdout",
  rows: { "stdout": "MB/s", "socat": "MB/s" },
  async run() {
    using rootfs = new Rootfs();
    rootfs.add("/usr/bin/socat");
    const args = ["/bin/sleep", "3600"];
    await using container = await ShimContainer.prepare({ rootfs, args });
    await container.start();
    await container.create();
    await container.task.start({ id: container.id });
    const [ours, socats]: [number[], number[]] = [[], []];
    for (let turn = 0; turn <= TURNS; turn++) {
      const own = await timed(() => throughStdout(container));
      const socat = await timed(() => throughSocat(container, PORT + turn));
      if (turn === 0) continue;
      ours.push(BYTES / 1000 / own);
      socats.push(BYTES / 1000 / socat);
    }
    await container.kill();
    await container.delete();
    await container.shutdown();
    return { "stdout": ours, "socat": socats };
  },
};

async function throughStdout(container: ShimContainer): Promise<void> {
  const fifo = `${container.stdout}-${crypto.randomUUID()}`;
  await command("mkfifo", fifo);
  const read = counted("cat", fifo);
  await Promise.all([container.exec(["/bin/sh", "-c", `exec ${SOURCE}`], fifo), read]);
}

async function throughSocat(container: ShimContainer, port: number): Promise<void> {
  const read = counted("socat", "-u", "-b", "131072", listenAddress(container, port), "-");
  const send = `socat -u -b ${BLOCK_BYTES} - VSOCK-CONNECT:2:${port},retry=50,interval=0.02`;
  await Promise.all([container.exec(["/bin/sh", "-c", `${SOURCE} | ${send}`]), read]);
}

/** Returns the host's address at which the guest's connection to this port arrives. */
function listenAddress({ vmName }: ShimContainer, port: number): string {
  const helper = sandboxProcesses(vmName).find(({ role }) => role === "vhost-device-vsock");
  if (helper === undefined) return `VSOCK-LISTEN:${port}`;
  const words = Deno.readTextFileSync(`/proc/${helper.pid}/cmdline`);
  const path = /uds-path=([^,\0]+)/.exec(words)?.[1];
  if (path === undefined) throw new Error(`vhost-device-vsock has no uds-path: ${words}`);
  // The path is relative to the helper's directory.
  return `UNIX-LISTEN:/proc/${helper.pid}/cwd/${path}_${port}`;
}

/** Runs a program, which must output as many bytes as were sent. */
async function counted(program: string, ...args: string[]): Promise<void> {
  const line = `"$0" "$@" | wc -c`;
  const text = await command("sh", "-c", line, program, ...args);
  if (Number(text) !== BYTES) throw new Error(`${program} got ${text.trim()} of ${BYTES} bytes`);
}

async function command(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const text = new TextDecoder();
  if (code !== 0) throw new Error(`${program} exited with ${code}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}
