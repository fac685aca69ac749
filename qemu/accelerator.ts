import { messageOf } from "../base/mod.ts";
import { type Fd, isSystemError, O, type System, system as realSystem } from "../ffi/mod.ts";
import type { Accelerator } from "./config.ts";
import { VmError } from "./error.ts";

export type AcceleratorChoice = "auto" | Accelerator;

/** What a host offers. */
export interface HostProbe {
  /** null when /dev/kvm opens, else why it does not. */
  readonly kvmError: string | null;
  /** Whether the processor or a module says that the hardware can virtualise. */
  readonly hardwareVirtualisation: boolean;
  /** Whether /dev/vhost-vsock opens. */
  readonly vhostVsock: boolean;
}

export interface ChosenAccelerator {
  readonly accelerator: Accelerator;
  /** One line for the log when this is less than what could be. */
  readonly warning?: string;
}

/**
 * Takes KVM only where it works: a /dev/kvm that opens is no proof of that, because hosts that
 * only run guests patched for them (PVM) have one too, and a stock kernel dies there.
 * @throws VmError `host` when KVM is wanted and does not work.
 */
export function chooseAccelerator(wanted: AcceleratorChoice, probe: HostProbe): ChosenAccelerator {
  if (wanted === "tcg") return { accelerator: "tcg" };
  const obstacle = kvmObstacle(probe);
  if (obstacle === null) return { accelerator: "kvm" };
  if (wanted === "kvm") {
    throw new VmError(
      "host",
      `accelerator kvm was asked for, but ${obstacle.why}: ${obstacle.mend}, or set the accelerator ` +
        `to auto or tcg (QEMUBOX_ACCELERATOR)`,
    );
  }
  return {
    accelerator: "tcg",
    warning: `no KVM, running under TCG, which is many times slower: ${obstacle.why}; ` +
      `${obstacle.mend}, or set the accelerator to tcg to silence this`,
  };
}

function kvmObstacle(probe: HostProbe): { why: string; mend: string } | null {
  if (!probe.hardwareVirtualisation) {
    const seen = probe.kvmError === null ? "although /dev/kvm opens, " : "";
    return {
      why:
        `${seen}the processor shows neither vmx nor svm and no module kvm_intel or kvm_amd is loaded`,
      mend:
        "switch virtualisation on in the firmware, or nested virtualisation where this host is a guest",
    };
  }
  if (probe.kvmError !== null) {
    return {
      why: `/dev/kvm cannot be opened (${probe.kvmError})`,
      mend: "load kvm_intel or kvm_amd and give this process read and write access to /dev/kvm",
    };
  }
  return null;
}

/** Which vsock device: the kernel's where there is one, else vhost-device-vsock's. */
export function chooseVsockTransport(probe: HostProbe): "kernel" | "vhost-user" {
  return probe.vhostVsock ? "kernel" : "vhost-user";
}

/** Looks at this host. Never throws. */
export function probeHost(system: System = realSystem): HostProbe {
  return {
    kvmError: openError(system, "/dev/kvm"),
    hardwareVirtualisation: hasVirtualisationFlag(readOrEmpty("/proc/cpuinfo")) ||
      ["kvm_intel", "kvm_amd"].some((module) => isFolder(`/sys/module/${module}`)),
    vhostVsock: openError(system, "/dev/vhost-vsock") === null,
  };
}

/** Whether the first processor of /proc/cpuinfo has vmx or svm. Pure. */
export function hasVirtualisationFlag(cpuinfo: string): boolean {
  const flags = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1] ?? "";
  return / (vmx|svm)( |$)/.test(flags);
}

function openError(system: System, path: string): string | null {
  let fd: Fd;
  try {
    fd = system.open(path, O.RDWR);
  } catch (error) {
    return isSystemError(error) ? error.code : messageOf(error);
  }
  system.close(fd);
  return null;
}

function readOrEmpty(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
