/**
 * Packages of the two Debian roots. The suite is forky, the first with containerd's EROFS
 * snapshotter, QEMU 11 and Linux 7.2. debian_lock.json has the version and the SHA-256 of each
 * package that qemubox was measured with; if a mirror has another one, a warning says so.
 */

export const DEBIAN_SUITE = "forky";

/** Contents of a root. */
export interface RootRecipe {
  readonly name: string;
  readonly packages: readonly string[];
  /** Scripts for sh, run as mmdebstrap's --customize-hook with the root as $1. */
  readonly hooks?: readonly string[];
}

/**
 * Root of the testbed: containerd and all programs that the shim calls; crun, CRIU and busybox for
 * the root image; the kernel of the lab.
 */
export const TESTBED_ROOT: RootRecipe = {
  name: "testbed",
  packages: [
    "containerd",
    "crun",
    "runc",
    "criu",
    "libcriu2",
    "qemu-system-x86",
    "virtiofsd",
    "vhost-device-vsock",
    "erofs-utils",
    "containernetworking-plugins",
    "iproute2",
    "iputils-ping",
    "nftables",
    "iptables",
    "busybox-static",
    "e2fsprogs",
    "socat",
    "util-linux",
    "mount",
    "kmod",
    "procps",
    "strace",
    "systemd",
  ],
  hooks: [Deno.readTextFileSync(new URL("lab_kernel.sh", import.meta.url))],
};

/** Root for building the kernel, so that the host needs no compiler. */
export const KERNEL_ROOT: RootRecipe = {
  name: "kernel-toolchain",
  packages: [
    "gcc",
    "libc6-dev",
    "make",
    "flex",
    "bison",
    "bc",
    "libelf-dev",
    "libssl-dev",
    "xz-utils",
    "rsync",
    "perl",
    "cpio",
    "kmod",
    "python3-minimal",
  ],
};
