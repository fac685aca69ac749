# Second half of PID 1 of a testbed that holds a lab (see testbed_namespace.sh): binds this root,
# without what is mounted in it, as the lab's root, and runs the lab.

root=/run/lab/root
mkdir -p "$root"
mount --bind / "$root"
for path in "$TESTBED_REPOSITORY" "$TESTBED_DENO_DIR" "$TESTBED_DENO" "$TESTBED_IMAGES"; do
  # The bind does not contain mounts such as /tmp, so paths below them have to be created.
  if [ -d "$path" ]; then mkdir -p "$root$path"; else mkdir -p "$root${path%/*}" && touch "$root$path"; fi
  mount --bind "$path" "$root$path"
done

# Imports the images here, in a second; in the lab it would take half a minute.
setup=$TESTBED_REPOSITORY/scripts/testbed_setup.ts
deno run --quiet --config "$TESTBED_REPOSITORY/deno.json" --allow-all "$setup" --stop </dev/null >&2
# Without mounts in it, which are the layers that the EROFS snapshotter has used.
tar -C /var/lib/containerd --one-file-system --xattrs --xattrs-include='*' -cf "$root/containerd.tar" .

cd "$directory" 2>/dev/null || cd /
set +e
deno run --quiet --config "$TESTBED_REPOSITORY/deno.json" --allow-all \
  "$TESTBED_REPOSITORY/scripts/lab_host.ts" "$@"
exit $?
