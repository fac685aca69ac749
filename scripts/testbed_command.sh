# Second half of PID 1 of a testbed (see testbed_namespace.sh): installs the build's results, starts
# containerd, runs the command.

# Installs links, so that a build while the testbed runs takes effect at once.
share=/usr/share/qemubox
output=$TESTBED_REPOSITORY/_output
mkdir -p "$share/bin" "$share/kernel"
ln -s "$output/containerd-shim-qemubox-v1" /usr/bin/qemu-system-x86_64 "$share/bin/"
ln -s "$output/qemubox-kernel-x86_64" "$output/qemubox-initrd" "$output/qemubox-root" "$share/kernel/"

hostname testbed
echo "127.0.0.1 localhost testbed" >/etc/hosts
ip link set lo up
export QEMUBOX_CNI_BIN_DIR=/usr/lib/cni QEMUBOX_TESTBED=1

deno run --quiet --config "$TESTBED_REPOSITORY/deno.json" --allow-all \
  "$TESTBED_REPOSITORY/scripts/testbed_setup.ts" </dev/null >&2 || exit 1
unset TESTBED_ROOT TESTBED_SCRATCH TESTBED_REPOSITORY TESTBED_DENO TESTBED_DENO_DIR TESTBED_IMAGES
unset TESTBED_THEN TESTBED_DEBUG TESTBED_LAB_MINUTES

cd "$directory" 2>/dev/null || cd /root
set +e
# Through env, so that the shell's builtins (exit, exec) are not run.
env -- "$@"
exit $?
