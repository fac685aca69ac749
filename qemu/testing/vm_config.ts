import type { Fd } from "../../ffi/mod.ts";
import type { VmConfig } from "../config.ts";

/** A descriptor that nothing reads: arguments name the numbers in QEMU's process. */
export const FD = 0 as Fd;

/** The smallest VM: no device that it can do without, except the balloon. */
export const SMALLEST: VmConfig = {
  name: "default/c1",
  files: {
    qemuPath: "/usr/bin/qemu-system-x86_64",
    firmwarePath: "/usr/share/qemu/qboot.rom",
    kernelPath: "/usr/share/qemubox/kernel/qemubox-kernel-x86_64",
    rootPath: "/usr/share/qemubox/kernel/qemubox-root",
    initrdPath: "/usr/share/qemubox/kernel/qemubox-initrd",
    virtiofsdPath: "/usr/libexec/virtiofsd",
    vhostDeviceVsockPath: null,
    setprivPath: "/usr/bin/setpriv",
    prlimitPath: "/usr/bin/prlimit",
  },
  accelerator: "kvm",
  tscKhz: null,
  size: { memoryMib: 768, memoryMibMax: 768, vcpus: 1, vcpusMax: 1 },
  returnsMemory: true,
  transport: "kernel",
  runDirectory: "/run/q",
  shares: [],
  disks: [],
  scratchDisks: [],
  nics: [],
  readyMarker: "ready",
};
