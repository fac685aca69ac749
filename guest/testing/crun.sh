#!/bin/sh
# Stands in for crun: creates, starts, kills and deletes processes, without namespaces and cgroups.
# A container runs the script `command` of its bundle; without one, create fails. The JSON files
# that crun would read are kept beside the container's state: process.json, resources.json,
# config.json.
while :; do
  case $1 in
    --root) root=$2; shift 2 ;;
    --log) log=$2; shift 2 ;;
    --log-format) shift 2 ;;
    *) break ;;
  esac
done
verb=$1
shift

fail() {
  printf '{\n  "msg": "%s",\n  "level": "error"\n}' "$1" > "$log"
  exit 1
}

case $verb in
  create) # --bundle B --pid-file P ID
    bundle=$2 pid_file=$4 id=$5
    [ -f "$bundle/hang" ] && exec sleep 1000
    [ -f "$bundle/command" ] || fail "executable file \`x\` not found in \$PATH: No such file or directory"
    mkdir "$root/$id" || fail "container \`$id\` already exists"
    mkfifo "$root/$id/start"
    exec 3<&0 # because a shell gives its background processes /dev/null
    sh -c 'read -r _ < "$1/start" && exec sh "$2/command"' init "$root/$id" "$bundle" <&3 3<&- &
    echo $! > "$root/$id/pid"
    cp "$root/$id/pid" "$pid_file"
    ;;
  exec) # --process F --detach --pid-file P ID; runs `sh -c SCRIPT`, refuses any other program
    file=$2 pid_file=$5 id=$6
    kill -0 "$(cat "$root/$id/pid")" 2> /dev/null || fail "the container \`$id\` is not running"
    cp "$file" "$root/$id/process.json"
    # {"args":["sh","-c","SCRIPT"],…, without quotes in the script
    args=$(sed 's/.*"args":\[\([^]]*\)\].*/\1/' "$file" | tr -d '"')
    script=${args#*-c,}
    [ "$script" = "$args" ] && fail "executable file \`$args\` not found in \$PATH: No such file or directory"
    # It waits until this shell has exited, which would reap it.
    mkfifo "$pid_file.alive"
    exec 3<&0 4<> "$pid_file.alive" 5< "$pid_file.alive"
    rm "$pid_file.alive"
    sh -c "read -r _ <&5; exec 5<&-; $script" <&3 3<&- 4<&- &
    echo $! > "$pid_file"
    ;;
  start) # ID
    [ -f "$root/$1/no-start" ] && fail "exec: Exec format error"
    echo > "$root/$1/start"
    ;;
  update) # --resources FILE ID
    grep -q refuse "$2" && fail "write to \`pids.max\`: Invalid argument"
    cp "$2" "$root/$3/resources.json"
    ;;
  checkpoint) # --image-path F --work-path F [--leave-running] [FLAG…] ID
    directory=$2
    shift 4
    leave=; flags=
    while [ $# -gt 1 ]; do
      [ "$1" = --leave-running ] && leave=yes || flags="$flags $1"
      shift
    done
    [ -f "$root/$1/no-checkpoint" ] && {
      echo "(00.1) Error (criu/x.c:1): no such thing" > "$directory/dump.log"
      fail "CRIU checkpointing failed -52"
    }
    echo "$leave$flags" > "$directory/pages.img"
    [ "$leave" ] || kill -9 "$(cat "$root/$1/pid")"
    ;;
  restore) # --image-path F --work-path F --detach --bundle B --pid-file P [FLAG…] ID
    directory=$2 bundle=$7 pid_file=$9
    shift 9
    flags=$*
    for id; do :; done
    [ -f "$directory/pages.img" ] || fail "CRIU restoring failed"
    mkdir "$root/$id"
    cp "$bundle/config.json" "$root/$id/config.json"
    # As for exec.
    mkfifo "$pid_file.alive"
    exec 3<&0 4<> "$pid_file.alive" 5< "$pid_file.alive"
    rm "$pid_file.alive"
    sh -c 'read -r _ <&5; exec 5<&-; echo "restored$2" && exec sh "$1/command"' \
      init "$bundle" " ${flags% *}" <&3 3<&- 4<&- &
    echo $! > "$root/$id/pid"
    cp "$root/$id/pid" "$pid_file"
    ;;
  kill) # --all ID SIGNAL
    kill -"$3" "$(cat "$root/$2/pid")" || fail "kill container: No such process"
    ;;
  delete) # --force ID
    [ -d "$root/$2" ] || exit 0
    [ -f "$root/$2/no-delete" ] && fail "cannot remove cgroup: Device or resource busy"
    kill -9 "$(cat "$root/$2/pid")" 2> /dev/null
    rm -rf "${root:?}/$2"
    ;;
esac
