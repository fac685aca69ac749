/**
 * Packages of the two Debian roots. The suite is forky, the first with containerd's EROFS
 * snapshotter, QEMU 11 and Linux 7.2. The versions are those that qemubox was measured with; if a
 * mirror has another one, a warning says so.
 */

export const DEBIAN_SUITE = "forky";

/** Contents of a root. */
export interface RootRecipe {
  readonly name: string;
  readonly packages: readonly string[];
  /** Scripts for sh, run as mmdebstrap's --customize-hook with the root as $1. */
  readonly hooks?: readonly string[];
  /** Package → version that was measured. */
  readonly measured: Readonly<Record<string, string>>;
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
  measured: {
    "containerd": "2.1.9+ds1-5",
    "crun": "1.28-1",
    "runc": "1.3.6+ds1-1",
    "criu": "4.2.1-1",
    "qemu-system-x86": "1:11.1.2+ds-3",
    "virtiofsd": "1.14.0-4",
    "vhost-device-vsock": "0.3.0-2",
    "erofs-utils": "1.9.4-1",
    "containernetworking-plugins": "1.9.1+ds1-1",
    "iproute2": "7.2.0-1",
    "nftables": "1.1.7-3",
    "iptables": "1.8.13-1",
    "busybox-static": "1:1.38.0-3+b1",
    "socat": "1.8.1.3-2",
    "util-linux": "2.42.4-1",
    "libc6": "2.43-7",
    "seabios": "1.17.0-1",
    "linux-binary-7.2.12+deb14-cloud-amd64": "7.2.12-1",
  },
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
  measured: {},
};
