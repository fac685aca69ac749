import { HOST_HOOKS } from "../plan/host_hooks.ts";

/**
 * Features structure of the OCI runtime specification (features.md), for `-info`: the output of
 * `crun features` of crun 1.28 without the features that stop at the VM. The container's network
 * namespace, seccomp listeners, labels of security modules and resctrl are not supported. Hooks run
 * on the host, so those of the container are not supported either.
 */
export const OCI_FEATURES = {
  ociVersionMin: "1.0.0",
  ociVersionMax: "1.2.1",
  hooks: Object.values(HOST_HOOKS).flat(),
  mountOptions: words(`
    async atime bind copy-symlink defaults dest-nofollow dev diratime dirsync exec idmap mand noatime
    nodev nodiratime noexec nomand norelatime nostrictatime nosuid private ratime rasync rbind rdev
    rdiratime rdirsync relatime remount rexec rmand rnoatime rnodev rnodiratime rnoexec rnomand
    rnorelatime rnostrictatime rnosuid ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid
    rsync runbindable rw shared slave src-nofollow strictatime suid sync tmpcopyup unbindable`),
  linux: {
    namespaces: words("cgroup ipc mount pid user uts"),
    capabilities: words(`
      CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
      NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
      SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
      SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
      WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`).map((c) => `CAP_${c}`),
    cgroup: { v1: false, v2: true, systemd: true, systemdUser: false, rdma: false },
    seccomp: {
      enabled: true,
      actions: words("ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG TRACE TRAP")
        .map((action) => `SCMP_ACT_${action}`),
      operators: words("NE LT LE EQ GE GT MASKED_EQ").map((operator) => `SCMP_CMP_${operator}`),
    },
    apparmor: { enabled: false },
    selinux: { enabled: false },
    intelRdt: { enabled: false },
  },
} as const;

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
