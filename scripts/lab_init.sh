#!/bin/sh
# PID 1 of the lab's VM, on the read-only root that virtiofsd shares: mounts the usual file systems
# and runs the relay. When the relay exits, so does this, and the kernel panics, which stops QEMU.
# The command's exit status has been sent before.
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o mode=755 dev /dev 2>/dev/null || :
mkdir -p /dev/pts
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
ln -sf /proc/self/fd /dev/fd
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
mount -t tmpfs -o nosuid,nodev,mode=755 run /run
repository=${0%/scripts/*}
mount -t virtiofs repository "$repository"
# DENO_DIR is in the environment: the kernel passes unknown words of its command line there.
deno run --quiet --config "$repository/deno.json" --allow-all "$repository/scripts/lab_guest.ts"
echo "lab: relay exited with $?"
