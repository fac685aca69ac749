/** The lab's virtual machine: what it consists of, and how its QEMU is called. */

import { REPOSITORY } from "./paths.ts";
import { run } from "./run.ts";

/** Of the lab's machine. Inner virtual machines live in it, and all that a testbed writes. */
export const LAB_MEMORY_MIB = 3072;
const LAB_PROCESSORS = 2;
/**
 * With svm, which makes it a KVM host; without fast `rep movsb` and `rep stosb`, which TCG runs
 * byte by byte; without a fifth level of page tables, which costs a look-up more.
 */
const LAB_CPU = "max,erms=off,fsrm=off,fsrs=off,fzrm=off,fsrc=off,la57=off";

/** What the lab's QEMU is given. */
export interface LabMachine {
  readonly kernel: string;
  /** Runs as PID 1; a path in the lab's root. */
  readonly init: string;
  /** Deno's cache, in the lab's root. */
  readonly denoFolder: string;
  /** Sockets of virtiofsd, by the tag that the lab mounts. */
  readonly shares: Readonly<Record<string, string>>;
  /** The tag of the share that is the root. */
  readonly root: string;
  /** The socket on which the host's half of the relay listens. */
  readonly relay: string;
  /** The file that takes what the kernel prints. */
  readonly console: string;
  /**
   * Frequency of this host's TSC, which a guest under TCG reads and now and then fails to measure.
   */
  readonly tscKhz: number | null;
}

/** Name of the relay's port, as /sys/class/virtio-ports shows it in the lab. */
export const RELAY_PORT = "qemubox.lab";

/** The arguments of qemu-system-x86_64. Pure. */
export function labArguments(lab: LabMachine): string[] {
  const shares = Object.entries(lab.shares).flatMap(([tag, socket]) => [
    ...["-chardev", `socket,id=${tag},path=${socket}`],
    ...["-device", `vhost-user-fs-pci,chardev=${tag},tag=${tag},queue-size=1024`],
  ]);
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", "q35,accel=tcg,memory-backend=memory,vmport=off,smbus=off,sata=off,usb=off"],
    ...["-cpu", LAB_CPU, "-smp", String(LAB_PROCESSORS)],
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
    // The kernel hands what it does not know to init, as its environment.
    `DENO_DIR=${lab.denoFolder}`,
    // A panic ends QEMU, because of -no-reboot.
    ...["console=ttyS0", "quiet", "panic=-1", "no_timer_check", "mitigations=off"],
    // virtiofsd writes to the lab's memory behind TCG's back: docs/adr/0001. The lab's own inner
    // machines leave much translated code behind in it.
    "init_on_alloc=1",
    ...(lab.tscKhz === null ? [] : [`tsc_early_khz=${lab.tscKhz}`]),
  ].join(" ");
}

/** The arguments of virtiofsd, for a share of the lab. Pure. */
export function shareArguments(
  folder: string,
  socket: string,
  access: "read-only" | "read-write",
): string[] {
  return [
    `--shared-dir=${folder}`,
    `--socket-path=${socket}`,
    // The namespaces that it runs in are the lab's own.
    ...["--sandbox=none", "--inode-file-handles=never", "--log-level=error"],
    // An overlay does not take what is announced as a mount.
    "--no-announce-submounts",
    // Otherwise each start of a program reads its file again. What is changed outside while the lab
    // runs may go unseen in it.
    "--cache=always",
    ...(access === "read-only" ? ["--readonly"] : []),
  ];
}

/** Fills Deno's cache with what runs in the lab, where compiling it again would take seconds. */
export async function prepareLab(): Promise<void> {
  const programs = ["lab_guest.ts", "testbed_setup.ts"];
  const paths = programs.map((name) => `${REPOSITORY}/scripts/${name}`);
  await run([Deno.execPath(), "cache", "--quiet", ...paths], { cwd: REPOSITORY });
}

/**
 * The kernel of the Debian root that this runs in.
 * @throws {Error} when there is none
 */
export function labKernel(root = ""): string {
  const folder = `${root}/usr/lib/modules`;
  for (const { name } of Deno.readDirSync(folder)) return `${folder}/${name}/vmlinuz`;
  throw new Error(`no kernel in ${folder}`);
}
