/**
 * From a plan to a running guest: QEMU's arguments and the kernel command line (pure), sizing,
 * the choice of accelerator, the helpers, QMP, and the boot itself.
 */
export { VmError } from "./error.ts";
export type { VmErrorKind } from "./error.ts";
export {
  checkSlots,
  CID_MAX,
  CID_MIN,
  hasSlotLeft,
  MEMORY_MIB_MIN,
  validateVmConfig,
  VCPUS_MAX,
  VIRTIO_SLOTS_MAX,
} from "./config.ts";
export type {
  Accelerator,
  DiskConfig,
  FilesystemConfig,
  NicConfig,
  ScratchDiskConfig,
  SocketSource,
  VmConfig,
  VsockConfig,
} from "./config.ts";
export { kernelCommandLine } from "./kernel_command_line.ts";
export { qemuArguments } from "./arguments.ts";
export { dyingWithParent, vhostDeviceVsockCommand, virtiofsdCommand } from "./helper_commands.ts";
export type { CommandLine, VhostDeviceVsockOptions, VirtiofsdOptions } from "./helper_commands.ts";
export { chooseAccelerator, chooseVsockTransport, probeHost } from "./accelerator.ts";
export type { AcceleratorChoice, ChosenAccelerator, HostProbe } from "./accelerator.ts";
export { hostTsc } from "./host_tsc.ts";
export type { HostFiles, HostTsc } from "./host_tsc.ts";
export { GUEST_OVERHEAD_MIB, hostSize, limitMib, memoryWithin, sizeVm } from "./sizing.ts";
export type { HostSize, Resources, SizeWishes, VmSize } from "./sizing.ts";
export { locateFiles } from "./files.ts";
export type { FileSettings, VmFiles } from "./files.ts";
export { leaseCid, removeCidLease } from "./cid.ts";
export type { CidLease, CidOptions } from "./cid.ts";
export { QMP_LINE_BYTES_MAX } from "./qmp_decoder.ts";
export type { QmpEvent } from "./qmp_decoder.ts";
export { QmpClient } from "./qmp.ts";
export type { QmpOptions, QmpStream } from "./qmp.ts";
export { kernelVsock, vhostUserVsock } from "./vsock.ts";
export type { VsockTransport } from "./vsock.ts";
export type { BootPlan, NicPlan, ScratchDisk, Share } from "./plan.ts";
export { BOOT_TIMEOUT_MS, bootVm } from "./boot.ts";
export type { BootDeps } from "./boot.ts";
export { Balloon } from "./balloon.ts";
export type { BalloonBounds, BalloonMonitor } from "./balloon.ts";
export { Vm } from "./vm.ts";
export type { VmTimeline } from "./vm.ts";
export type { VmExit } from "./vm_end.ts";
export type { ChildLike, Ledger, ProcessInfo } from "./vm_process.ts";
