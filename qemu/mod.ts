/**
 * From a plan to a running guest: QEMU's arguments and the kernel command line (pure), sizing,
 * the choice of accelerator, the helpers, QMP, and the boot itself.
 *
 * @module
 */
export { VmError, type VmErrorKind } from "./error.ts";
export type { Accelerator, DiskConfig, NicPlan, ScratchDisk, VmConfig, VmPlan } from "./config.ts";
export { hasSlotLeft } from "./devices.ts";
export { VCPUS_MAX } from "./limits.ts";
export { kernelCommandLine } from "./kernel_command_line.ts";
export { extentPath, qemuArguments } from "./arguments.ts";
export { chooseAccelerator, chooseVsockTransport, probeHost } from "./accelerator.ts";
export { hostTsc } from "./host_tsc.ts";
export {
  GUEST_OVERHEAD_MIB,
  hostSize,
  limitMib,
  memoryWithin,
  sizeVm,
  type VmSize,
} from "./sizing.ts";
export { locateFiles } from "./files.ts";
export { requireDescriptors } from "./helper_commands.ts";
export { type CidLease, leaseCid } from "./cid.ts";
export { type IdLease, removeIdLease } from "./id_lease.ts";
export { leaseUserId } from "./user_id.ts";
export { bootVm } from "./boot.ts";
export type { BootDeps } from "./boot_deps.ts";
export { Balloon } from "./balloon.ts";
export { Vm } from "./vm.ts";
export type { Ledger } from "./vm_process.ts";
