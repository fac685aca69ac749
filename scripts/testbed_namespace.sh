# PID 1 of a testbed, in fresh mount, pid, network, ipc and uts namespaces: makes the root, starts
# containerd, runs the command. A shell is what is needed here: while it waits for its command it
# reaps whatever else ends, and when it ends the kernel kills all the rest.
set -eu

new=$TESTBED_SCRATCH/root
umask 022

# What is written lies in the scratch folder, or in memory where that folder is itself on an overlay,
# on which neither an overlay nor containerd's snapshots can be made.
case $(stat -f -c %T "$TESTBED_SCRATCH") in
overlay*) mount -t tmpfs -o mode=755 testbed "$TESTBED_SCRATCH" ;;
esac
mkdir "$new" "$TESTBED_SCRATCH/upper" "$TESTBED_SCRATCH/work" "$TESTBED_SCRATCH/containerd"
mkdir -m 1777 "$TESTBED_SCRATCH/tmp"
mount -t overlay -o "lowerdir=$TESTBED_ROOT,upperdir=$TESTBED_SCRATCH/upper,workdir=$TESTBED_SCRATCH/work" \
  testbed "$new"

mount -t proc -o nosuid,nodev,noexec proc "$new/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$new/sys"
# Version 1, 2 or both, as the host has them.
mount --rbind /sys/fs/cgroup "$new/sys/fs/cgroup"
mount --make-rslave "$new/sys/fs/cgroup"
# The host's devices and its terminals: the command may stand on one.
mount --rbind /dev "$new/dev"
mount --make-rslave "$new/dev"
mount -t tmpfs -o nosuid,nodev,mode=1777 shm "$new/dev/shm"
mkdir -p "$new/dev/mqueue"
mount -t mqueue mqueue "$new/dev/mqueue"
mount -t tmpfs -o nosuid,nodev,mode=755 run "$new/run"
mount --bind "$TESTBED_SCRATCH/tmp" "$new/tmp"
mkdir -p "$new/var/lib/containerd"
mount --bind "$TESTBED_SCRATCH/containerd" "$new/var/lib/containerd"

# At the same places as outside: the repository, Deno, its cache, the images.
mkdir -p "$new$TESTBED_REPOSITORY" "$new$TESTBED_DENO_DIR" "$new${TESTBED_DENO%/*}" "$new/usr/local/bin"
mount --bind "$TESTBED_REPOSITORY" "$new$TESTBED_REPOSITORY"
mount --bind "$TESTBED_DENO_DIR" "$new$TESTBED_DENO_DIR"
touch "$new$TESTBED_DENO" "$new/run/images.tar"
mount --bind "$TESTBED_DENO" "$new$TESTBED_DENO"
mount --bind "$TESTBED_IMAGES" "$new/run/images.tar"
ln -s "$TESTBED_DENO" "$new/usr/local/bin/deno"

# The installation, by links: a build while the testbed runs is seen at once.
share=$new/usr/share/qemubox
output=$TESTBED_REPOSITORY/_output
mkdir -p "$share/bin" "$share/kernel"
ln -s "$output/containerd-shim-qemubox-v1" /usr/bin/qemu-system-x86_64 "$share/bin/"
ln -s "$output/qemubox-kernel-x86_64" "$output/qemubox-initrd" "$share/kernel/"

directory=$PWD
hostname testbed
cd "$new"
pivot_root . .
umount -l .
cd /

export PATH=/usr/share/qemubox/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root DENO_DIR="$TESTBED_DENO_DIR" QEMUBOX_CNI_BIN_DIR=/usr/lib/cni QEMUBOX_TESTBED=1
unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_RUNTIME_DIR TMPDIR
echo "127.0.0.1 localhost testbed" >/etc/hosts
ip link set lo up

deno run --quiet --config "$TESTBED_REPOSITORY/deno.json" --allow-all \
  "$TESTBED_REPOSITORY/scripts/testbed_setup.ts" </dev/null >&2 || exit 1
rm -f /run/images.tar 2>/dev/null || :
unset TESTBED_ROOT TESTBED_SCRATCH TESTBED_REPOSITORY TESTBED_DENO TESTBED_DENO_DIR TESTBED_IMAGES
unset TESTBED_DEBUG

cd "$directory" 2>/dev/null || cd /root
set +e
# By way of env: a shell's own commands (exit, exec) are not meant.
env -- "$@"
exit $?
