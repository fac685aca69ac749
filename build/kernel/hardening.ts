/**
 * Options that the guest kernel must have or must not have, so that a container stays what it is
 * inside its VM. `docs/guest-kernel.md` explains them. The build compares the resulting
 * configuration with them, since `make allnoconfig` and the kernel's defaults decide on every
 * option that the fragment does not name.
 */

import type { KernelConfig } from "./config.ts";

/** Options with the value that they must have; without `CONFIG_`. */
export const REQUIRED: Readonly<Record<string, string>> = {
  // Stacks.
  ...on("STACKPROTECTOR_STRONG", "VMAP_STACK", "INIT_STACK_ALL_ZERO", "SCHED_STACK_END_CHECK"),
  ...on("RANDOMIZE_KSTACK_OFFSET", "RANDOMIZE_KSTACK_OFFSET_DEFAULT"),
  // Heap.
  ...on("SLAB_FREELIST_RANDOM", "SLAB_FREELIST_HARDENED", "SLAB_BUCKETS"),
  ...on("INIT_ON_ALLOC_DEFAULT_ON"),
  // Checks at run time. Corruption stops the guest, which the shim reports.
  ...on("HARDENED_USERCOPY", "HARDENED_USERCOPY_DEFAULT_ON", "FORTIFY_SOURCE"),
  ...on("LIST_HARDENED", "BUG_ON_DATA_CORRUPTION", "PANIC_ON_OOPS"),
  // Addresses.
  ...on("STRICT_KERNEL_RWX", "RANDOMIZE_BASE", "RANDOMIZE_MEMORY"),
  DEFAULT_MMAP_MIN_ADDR: "65536",
  // Between processes of one VM.
  ...on("CPU_MITIGATIONS", "MITIGATION_PAGE_TABLE_ISOLATION", "MITIGATION_SPECTRE_V1"),
  ...on("MITIGATION_SPECTRE_V2", "MITIGATION_SPECTRE_BHI", "MITIGATION_RETPOLINE"),
  ...on("MITIGATION_SLS", "X86_UMIP", "SECURITY_DMESG_RESTRICT", "PROC_MEM_FORCE_PTRACE"),
  ...on("BPF_JIT_ALWAYS_ON", "BPF_UNPRIV_DEFAULT_OFF", "STATIC_USERMODEHELPER"),
  STATIC_USERMODEHELPER_PATH: '""',
  // What containers are offered.
  ...on("SECCOMP_FILTER", "SECURITY", "SECURITY_LANDLOCK"),
  LSM: '"landlock"',
};

/** Options that must be off, without `CONFIG_`. */
export const FORBIDDEN: readonly string[] = [
  // Code that is loaded into a running kernel, or replaces it.
  ...["MODULES", "KEXEC", "KEXEC_FILE", "KEXEC_HANDOVER", "HIBERNATION", "LIVEPATCH"],
  ...["FW_LOADER", "BPF_PRELOAD", "UEVENT_HELPER"],
  // The kernel's memory, ports and machine registers as files or system calls.
  ...["DEVMEM", "DEVPORT", "PROC_KCORE", "PROC_VMCORE", "X86_MSR", "X86_CPUID", "X86_IOPL_IOPERM"],
  // Tracing and fault injection, which read or change the running kernel.
  ...["DEBUG_FS", "KPROBES", "FTRACE", "UPROBES", "KGDB", "FAULT_INJECTION", "MAGIC_SYSRQ"],
  ...["GDB_SCRIPTS", "KCOV", "NOTIFIER_ERROR_INJECTION"],
  // Old interfaces with a history of bugs, which Debian's containers do not get either.
  ...["X86_VSYSCALL_EMULATION", "X86_X32_ABI", "COMPAT_BRK", "COMPAT_VDSO"],
  ...["LEGACY_PTYS", "LEGACY_TIOCSTI", "LDISC_AUTOLOAD", "BINFMT_MISC", "VT"],
  ...["SYSFS_SYSCALL", "SGETMASK_SYSCALL"],
  // Slab caches of the same size that share their pages.
  "SLAB_MERGE_DEFAULT",
  // Would weaken what is required.
  ...["INIT_STACK_NONE", "PROC_MEM_ALWAYS_FORCE", "SLUB_TINY"],
];

/**
 * Compares a resulting configuration with the two lists.
 *
 * @returns a line per option that is not as it must be; an option that is absent is off.
 */
export function weaknesses(config: KernelConfig): string[] {
  const valueOf = (option: string) => config.get(`CONFIG_${option}`) ?? "n";
  return [
    ...Object.entries(REQUIRED)
      .filter(([option, wanted]) => valueOf(option) !== wanted)
      .map(([option, wanted]) => `CONFIG_${option}: must be ${wanted}, is ${valueOf(option)}`),
    ...FORBIDDEN.filter((option) => valueOf(option) !== "n")
      .map((option) => `CONFIG_${option}: must be off, is ${valueOf(option)}`),
  ];
}

function on(...options: string[]): Record<string, string> {
  return Object.fromEntries(options.map((option) => [option, "y"]));
}
