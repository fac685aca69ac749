import { messageOf } from "../base/mod.ts";
import { type Fd, isSystemError, O, type System, system as realSystem } from "../ffi/mod.ts";
import type { Accelerator } from "./config.ts";
import { VmError } from "./error.ts";

/** Accelerator as set; `auto` takes KVM where it works, else TCG. */
export type AcceleratorChoice = "auto" | Accelerator;

/** What a host offers for virtualisation. */
export interface HostProbe {
  /** Why /dev/kvm does not open; null if it does. */
  readonly kvmError: string | null;
  /** Whether a CPU flag or a loaded module shows that the hardware can virtualise. */
  readonly hardwareVirtualisation: boolean;
  /** Whether /dev/vhost-vsock opens. */
  readonly vhostVsock: boolean;
}

/** The accelerator to use. */
export interface ChosenAccelerator {
  readonly accelerator: Accelerator;
  /** One line for the log if KVM was wanted and is not used. */
  readonly warning?: string;
}

/**
 * Chooses KVM only where it works. A /dev/kvm that opens does not prove that: hosts that only run
 * guests patched for them (PVM) have one too, and a stock kernel dies there. Pure.
 *
 * @throws VmError `host` if KVM is required and does not work.
 */
export function chooseAccelerator(wanted: AcceleratorChoice, probe: HostProbe): ChosenAccelerator {
  if (wanted === "tcg") return { accelerator: "tcg" };
  const obstacle = kvmObstacle(probe);
  if (obstacle === null) return { accelerator: "kvm" };
  if (wanted === "kvm") {
    throw new VmError(
      "host",
      `accelerator kvm was asked for, but ${obstacle.why}: ${obstacle.fix}, or set the accelerator ` +
        `to auto or tcg (QEMUBOX_ACCELERATOR)`,
    );
  }
  return {
    accelerator: "tcg",
    warning: `no KVM, running under TCG, which is many times slower: ${obstacle.why}; ` +
      `${obstacle.fix}, or set the accelerator to tcg to silence this`,
  };
}

function kvmObstacle(probe: HostProbe): { why: string; fix: string } | null {
  if (!probe.hardwareVirtualisation) {
    const seen = probe.kvmError === null ? "although /dev/kvm opens, " : "";
    return {
      why: `${seen}the CPU has neither vmx nor svm, and neither kvm_intel nor kvm_amd is loaded`,
      fix:
        "enable virtualisation in the firmware, or nested virtualisation where this host is a guest",
    };
  }
  if (probe.kvmError !== null) {
    return {
      why: `/dev/kvm cannot be opened (${probe.kvmError})`,
      fix: "load kvm_intel or kvm_amd and give this process read and write access to /dev/kvm",
    };
  }
  return null;
}

/** Chooses the vsock device: the kernel's if the host has one, else vhost-device-vsock's. Pure. */
export function chooseVsockTransport(probe: HostProbe): "kernel" | "vhost-user" {
  return probe.vhostVsock ? "kernel" : "vhost-user";
}

/** Probes this host. Never throws. */
export function probeHost(system: System = realSystem): HostProbe {
  return {
    kvmError: openError(system, "/dev/kvm"),
    hardwareVirtualisation: hasVirtualisationFlag(readOrEmpty("/proc/cpuinfo")) ||
      ["kvm_intel", "kvm_amd"].some((module) => isReadableDirectory(`/sys/module/${module}`)),
    vhostVsock: openError(system, "/dev/vhost-vsock") === null,
  };
}

/** Returns whether the first CPU of /proc/cpuinfo has vmx or svm. Pure. */
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

function isReadableDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
