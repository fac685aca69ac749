/**
 * Counts the instructions that a guest runs until vminitd is ready: the cost of a boot as a number
 * that does not depend on how busy the machine is, and repeats to a tenth of a percent.
 *
 * QEMU's `-icount shift=0` makes a guest's clock advance by one nanosecond per instruction. Waits
 * of the guest take no time (`sleep=off`), and `noapictimer` leaves out the kernel's only loop that
 * waits for time to pass (it calibrates the APIC timer for 200 ms).
 *
 *     scripts/testbed deno run --allow-all tests/bench/instructions.ts [--update]
 *
 * shows the figures. `--update` makes them the baseline, for a figure that went down, or up for a
 * reason that the commit's message gives.
 */

import { after } from "../../base/mod.ts";
import { GUEST_READY_MARKER } from "../../proto/mod.ts";
import { kernelCommandLine, locateFiles, qemuArguments, type VmConfig } from "../../qemu/mod.ts";
import { loadConfig } from "../../shim/config/config.ts";
import { killChild } from "../lib/kill_child.ts";
import { COUNTS, countsIn, type InstructionCounts, LAST_LINE } from "./instruction_counts.ts";
import type { Measure } from "./measure.ts";

const BASELINE = new URL("instructions.baseline.json", import.meta.url);
/** A boot takes 5 s, and several times that on a busy machine. */
const BOOT_TIMEOUT_MS = 180_000;
/** The figure is the minimum of these boots: disturbances only add to it. */
const BOOTS = 3;

/** The figures as rows of the benchmark. */
export const instructions: Measure = {
  name: "instructions",
  rows: Object.fromEntries(COUNTS.map((name) => [`instructions/${name}`, "M" as const])),
  roundsMax: 1,
  // Only TCG counts instructions.
  notInLab: true,
  async run() {
    const counts = await countInstructions();
    return Object.fromEntries(COUNTS.map((name) => [`instructions/${name}`, counts[name]]));
  },
};

/** Boots the installed kernel and root image a few times. It needs the testbed. */
export async function countInstructions(): Promise<InstructionCounts> {
  const boots: InstructionCounts[] = [];
  for (let boot = 0; boot < BOOTS; boot++) boots.push(countsIn(await bootCounting()));
  const least = (name: keyof InstructionCounts) => Math.min(...boots.map((one) => one[name]));
  return Object.fromEntries(
    COUNTS.map((name) => [name, least(name)]),
  ) as unknown as InstructionCounts;
}

/** Returns the figures to compare boots with. */
export function readBaseline(): InstructionCounts {
  return JSON.parse(Deno.readTextFileSync(BASELINE));
}

/** Boots once. Returns the text of the console. QEMU has exited afterwards. */
async function bootCounting(): Promise<string> {
  const directory = await Deno.makeTempDir();
  const { qemuPath, args } = machine(directory);
  const qemu = new Deno.Command(qemuPath, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  })
    .spawn();
  using _deadline = after(BOOT_TIMEOUT_MS, () => killChild(qemu));
  let console = "";
  try {
    for await (const text of qemu.stdout.pipeThrough(new TextDecoderStream())) {
      console += text.replaceAll("\r", "");
      if (LAST_LINE.test(console)) return console;
    }
    throw new Error(`the guest did not become ready: ${console.slice(-2000)}`);
  } finally {
    killChild(qemu);
    await qemu.status;
    await Deno.remove(directory, { recursive: true });
  }
}

/** Returns the shim's VM without its vsock and shares, which are other processes. */
function machine(directory: string): { qemuPath: string; args: string[] } {
  const files = locateFiles({
    ...loadConfig(),
    needsVhostDeviceVsock: false,
  });
  const config: VmConfig = {
    name: "tests/bench",
    files,
    accelerator: "tcg",
    size: { memoryMib: 512, memoryMibMax: 512, vcpus: 1, vcpusMax: 1 },
    returnsMemory: true,
    // One instruction is one nanosecond, whatever the host's CPU does.
    tscKhz: 1_000_000,
    transport: "kernel",
    runDirectory: directory,
    ...{ shares: [], disks: [], scratchDisks: [], nics: [] },
    readyMarker: GUEST_READY_MARKER,
  };
  const args = qemuArguments(config, {
    ...{ cid: 3, qmp: { path: `${directory}/qmp.sock` }, vsock: null },
    ...{ filesystems: [], scratchDisks: [], nics: [] },
  });
  const vsock = args.findIndex((one) => one.startsWith("vhost-vsock-device"));
  args.splice(vsock - 1, 2);
  const option = (name: string) => args.indexOf(name) + 1;
  args[option("-append")] = commandLine(config);
  args[option("-M")] += ",auto-kernel-cmdline=off";
  return { qemuPath: files.qemuPath, args: [...args, "-icount", "shift=0,sleep=off"] };
}

/**
 * Returns the shim's kernel command line, with stage 0 and its clocks as an argument of a shell.
 */
function commandLine(config: VmConfig): string {
  return [
    kernelCommandLine(config),
    "noapictimer",
    // For /proc/PID/schedstat.
    "delayacct",
    // QEMU adds these for its last slots, which root disk and balloon are in. Behind `--` they
    // would have no effect.
    "virtio_mmio.device=512@0xfeb00e00:12",
    "virtio_mmio.device=512@0xfeb00c00:11",
    `rdinit=/bin/sh -- -c "${stage0WithClocks()}"`,
  ].join(" ");
}

/** Returns the commands of stage 0 on one line; it prints its clocks first, and before its last. */
function stage0WithClocks(): string {
  const script = Deno.readTextFileSync(new URL("../../build/initrd/init", import.meta.url));
  const commands = script.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return [
    // The root disk will be mounted over it.
    ...["mount -t proc proc /root", clocks("init", "/root")],
    ...[...commands.slice(0, -1), clocks("stage0", "/root/proc"), commands.at(-1)],
  ].join("; ");
}

/** Prints the time, the CPU time of PID 1, and the time for which all tasks waited for a disk. */
function clocks(name: string, proc: string): string {
  return `read -r used rest <${proc}/1/schedstat; ` +
    `{ read -r version; read -r bases; read -r now; } <${proc}/timer_list; ` +
    `{ read -r some; read -r full; } <${proc}/pressure/io; ` +
    `echo ${name} clock $now processor $used waited $full`;
}

if (import.meta.main) {
  const counts = await countInstructions();
  const before = readBaseline();
  for (const name of COUNTS) {
    const change = ((counts[name] / before[name] - 1) * 100).toFixed(2);
    console.log(`${name.padEnd(16)}${counts[name].toFixed(2).padStart(8)} M  ${change} %`);
  }
  if (Deno.args.includes("--update")) {
    Deno.writeTextFileSync(BASELINE, JSON.stringify(counts, null, 2) + "\n");
  }
}
