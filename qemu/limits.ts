/** CONFIG_NR_CPUS of our kernel. */
export const VCPUS_MAX = 64;
/** With less, the kernel with vminitd does not boot. */
export const MEMORY_MIB_MIN = 128;
/** More than any host has; a sanity bound. */
export const MEMORY_MIB_MAX = 16 * 1024 * 1024;
/** 0, 1 and 2 are reserved: hypervisor, local, host (vsock(7)). */
export const CID_MIN = 3;
/** 0xffffffff is VMADDR_CID_ANY. */
export const CID_MAX = 0xffff_fffe;
