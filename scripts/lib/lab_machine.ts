/** The lab's virtual machine: the arguments of its QEMU and of its virtiofsd. */

import { REPOSITORY } from "./paths.ts";
import { run } from "./run.ts";

/** Memory of the lab's machine, which holds inner virtual machines and all writes of a testbed. */
export const LAB_MEMORY_MIB = 3072;
const LAB_VCPUS = 2;
/**
 * CPU model: with svm, which makes it a KVM host; without fast `rep movsb` and `rep stosb`, which
 * TCG runs byte by byte; without the fifth level of page tables, which costs one more lookup.
 */
const LAB_CPU = "max,erms=off,fsrm=off,fsrs=off,fzrm=off,fsrc=off,la57=off";

/** Inputs of the lab's QEMU. */
export interface LabMachine {
  readonly kernel: string;
  /** Program of PID 1, a path in the lab's root. */
  readonly init: string;
  /** Deno's cache, a path in the lab's root. */
  readonly denoDirectory: string;
  /** Tag that the lab mounts → socket of virtiofsd. */
  readonly shares: Readonly<Record<string, string>>;
  /** Tag of the share that is the root. */
  readonly root: string;
  /** Socket on which the host's half of the relay listens. */
  readonly relay: string;
  /** File for the output of the kernel. */
  readonly console: string;
  /**
   * Frequency of this host's TSC, which a guest under TCG reads and sometimes fails to measure;
   * null if unknown.
   */
  readonly tscKhz: number | null;
}

/** Name of the relay's port in the lab's /sys/class/virtio-ports. */
export const RELAY_PORT = "qemubox.lab";

/** Returns the arguments of qemu-system-x86_64. Pure. */
export function labArguments(lab: LabMachine): string[] {
  const shares = Object.entries(lab.shares).flatMap(([tag, socket]) => [
    ...["-chardev", `socket,id=${tag},path=${socket}`],
    ...["-device", `vhost-user-fs-pci,chardev=${tag},tag=${tag},queue-size=1024`],
  ]);
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", "q35,accel=tcg,memory-backend=memory,vmport=off,smbus=off,sata=off,usb=off"],
    ...["-cpu", LAB_CPU, "-smp", String(LAB_VCPUS)],
    ...["-m", String(LAB_MEMORY_MIB)],
    ...["-object", `memory-backend-memfd,id=memory,size=${LAB_MEMORY_MIB}M,share=on`],
    ...["-kernel", lab.kernel, "-append", kernelCommandLine(lab)],
    ...["-chardev", `file,id=console,path=${lab.console}`, "-serial", "chardev:console"],
    ...shares,
    ...["-device", "virtio-serial-pci", "-chardev", `socket,id=relay,path=${lab.relay}`],
    ...["-device", `virtserialport,chardev=relay,name=${RELAY_PORT}`],
  ];
}

function kernelCommandLine(lab: LabMachine): string {
  return [
    `root=${lab.root}`,
    "rootfstype=virtiofs",
    "ro",
    `init=${lab.init}`,
    // The kernel passes unknown words to init, in its environment.
    `DENO_DIR=${lab.denoDirectory}`,
    // A panic stops QEMU, because of -no-reboot.
    ...["console=ttyS0", "quiet", "panic=-1", "no_timer_check", "mitigations=off"],
    // virtiofsd writes to the lab's memory without TCG noticing: docs/adr/0001. The lab's inner
    // machines leave much translated code in it.
    "init_on_alloc=1",
    ...(lab.tscKhz === null ? [] : [`tsc_early_khz=${lab.tscKhz}`]),
  ].join(" ");
}

/** Returns the arguments of virtiofsd for a share of the lab. Pure. */
export function shareArguments(
  directory: string,
  socket: string,
  access: "read-only" | "read-write",
): string[] {
  return [
    `--shared-dir=${directory}`,
    `--socket-path=${socket}`,
    // It runs in namespaces of the lab's own.
    ...["--sandbox=none", "--inode-file-handles=never", "--log-level=error"],
    // An overlay does not accept an announced mount as a layer.
    "--no-announce-submounts",
    // Without it each start of a program reads its file again. Changes outside while the lab runs
    // may be invisible in it.
    "--cache=always",
    ...(access === "read-only" ? ["--readonly"] : []),
  ];
}

/** Puts the programs of the lab into Deno's cache; compiling them in the lab would take seconds. */
export async function prepareLab(): Promise<void> {
  const programs = ["lab_guest.ts", "testbed_setup.ts"];
  const paths = programs.map((name) => `${REPOSITORY}/scripts/${name}`);
  await run([Deno.execPath(), "cache", "--quiet", ...paths], { cwd: REPOSITORY });
}

/**
 * Returns the path of the kernel in the Debian root that this runs in.
 *
 * @throws {Error} when there is none
 */
export function labKernel(root = ""): string {
  const directory = `${root}/usr/lib/modules`;
  for (const { name } of Deno.readDirSync(directory)) return `${directory}/${name}/vmlinuz`;
  throw new Error(`no kernel in ${directory}`);
}
