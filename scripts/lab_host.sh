# The second half of PID 1 of a testbed that holds a lab (see testbed_namespace.sh): makes the folder
# that is to be the lab's root out of our own, without what is mounted here, and runs the lab.

root=/run/lab/root
mkdir -p "$root"
mount --bind / "$root"
for path in "$TESTBED_REPOSITORY" "$TESTBED_DENO_DIR" "$TESTBED_DENO" "$TESTBED_IMAGES"; do
  # Below what is mounted here, as /tmp is, there is nothing yet.
  if [ -d "$path" ]; then mkdir -p "$root$path"; else mkdir -p "$root${path%/*}" && touch "$root$path"; fi
  mount --bind "$path" "$root$path"
done

# The images are imported here, in a second; in the lab it would take half a minute.
setup=$TESTBED_REPOSITORY/scripts/testbed_setup.ts
deno run --quiet --config "$TESTBED_REPOSITORY/deno.json" --allow-all "$setup" --stop </dev/null >&2
# Not what is mounted below: the layers that the EROFS snapshotter has used.
tar -C /var/lib/containerd --one-file-system --xattrs --xattrs-include='*' -cf "$root/containerd.tar" .

cd "$directory" 2>/dev/null || cd /
set +e
deno run --quiet --config "$TESTBED_REPOSITORY/deno.json" --allow-all \
  "$TESTBED_REPOSITORY/scripts/lab_host.ts" "$@"
exit $?
