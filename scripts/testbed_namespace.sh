# PID 1 of a testbed, in new mount, pid, network, ipc and uts namespaces: makes the root, moves into
# it and continues with $TESTBED_THEN, a script beside this one. A shell fits: while it waits for
# its command it reaps all other processes, and when it exits the kernel kills the rest.
set -eu

new=$TESTBED_SCRATCH/root
umask 022

# Writes go to the scratch directory. If that is on an overlay, which supports neither another
# overlay nor containerd's snapshots, they go to memory.
case $(stat -f -c %T "$TESTBED_SCRATCH") in
overlay*) mount -t tmpfs -o mode=755 testbed "$TESTBED_SCRATCH" ;;
esac
mkdir "$new" "$TESTBED_SCRATCH/upper" "$TESTBED_SCRATCH/work" "$TESTBED_SCRATCH/containerd"
mkdir -m 1777 "$TESTBED_SCRATCH/tmp"
mount -t overlay -o "lowerdir=$TESTBED_ROOT,upperdir=$TESTBED_SCRATCH/upper,workdir=$TESTBED_SCRATCH/work" \
  testbed "$new"

mount -t proc -o nosuid,nodev,noexec proc "$new/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$new/sys"
# cgroup v1, v2 or both, as on the host.
mount --rbind /sys/fs/cgroup "$new/sys/fs/cgroup"
mount --make-rslave "$new/sys/fs/cgroup"
# The host's devices and terminals: the command's standard streams may be a terminal.
mount --rbind /dev "$new/dev"
mount --make-rslave "$new/dev"
mkdir -p "$new/dev/shm" "$new/dev/mqueue"
mount -t tmpfs -o nosuid,nodev,mode=1777 shm "$new/dev/shm"
mount -t mqueue mqueue "$new/dev/mqueue"
mount -t tmpfs -o nosuid,nodev,mode=755 run "$new/run"
mount --bind "$TESTBED_SCRATCH/tmp" "$new/tmp"
mkdir -p "$new/var/lib/containerd"
mount --bind "$TESTBED_SCRATCH/containerd" "$new/var/lib/containerd"

# The repository, Deno, its cache and the images have the same paths as outside. In the lab the root
# already contains them and containerd has imported the images; only the repository is writable.
mkdir -p "$new$TESTBED_REPOSITORY"
mount --bind "$TESTBED_REPOSITORY" "$new$TESTBED_REPOSITORY"
if [ -n "${QEMUBOX_LAB:-}" ]; then
  tar -C "$TESTBED_SCRATCH/containerd" --xattrs --xattrs-include='*' -xf "$TESTBED_ROOT/containerd.tar"
else
  mkdir -p "$new$TESTBED_DENO_DIR" "$new${TESTBED_DENO%/*}" "$new${TESTBED_IMAGES%/*}"
  touch "$new$TESTBED_DENO" "$new$TESTBED_IMAGES"
  mount --bind "$TESTBED_DENO_DIR" "$new$TESTBED_DENO_DIR"
  mount --bind "$TESTBED_DENO" "$new$TESTBED_DENO"
  mount --bind "$TESTBED_IMAGES" "$new$TESTBED_IMAGES"
  mkdir -p "$new/usr/local/bin"
  ln -s "$TESTBED_DENO" "$new/usr/local/bin/deno"
fi

directory=$PWD
cd "$new"
# pivot_root(8) is in a package of its own by now.
"$TESTBED_ROOT/usr/bin/busybox" pivot_root . .
umount -l .
cd /

export PATH=/usr/share/qemubox/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root DENO_DIR="$TESTBED_DENO_DIR"
unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_RUNTIME_DIR TMPDIR

. "$TESTBED_REPOSITORY/scripts/$TESTBED_THEN"
