/**
 * The first part of scripts for sh: `find_pid` prints the ids of the processes that serve the QMP socket
 * `$1`, a line each; `$hidden` has those of the QEMUs that this user may not look at.
 *
 * - The socket's inode stands in the `net/unix` of its network namespace, and the process has it among its
 *   descriptors. The path there is as QEMU bound it: of its own root, perhaps relative to its working
 *   directory.
 * - Only a process with `qemu` or `kvm` in its command line counts: to read every descriptor of a large
 *   host takes long.
 */
export const FIND_QEMU = String.raw`
qmp=$1
real=$(readlink -f -- "$qmp")
base=$(basename -- "$real")
is_ours() {
  case $2 in
    /*) [ "/proc/$1/root$2" -ef "$qmp" ] || [ "$2" -ef "$qmp" ] ;;
    *) [ "/proc/$1/cwd/$2" -ef "$qmp" ] ;;
  esac
}
qemus=
hidden=
tables=/proc/net/unix
seen=" $(readlink /proc/self/ns/net) "
for dir in $(grep -lEa 'qemu|kvm' /proc/[0-9]*/cmdline 2>/dev/null | sed 's/cmdline$//'); do
  if ! [ -r "$dir"fd ]; then
    # A process that has ended meanwhile, such as a part of this script, hides nothing.
    [ -d "$dir" ] || continue
    pid=$(basename "$dir")
    hidden="$hidden $pid"
    continue
  fi
  qemus="$qemus $dir"fd/
  ns=$(readlink "$dir"ns/net) || continue
  case $seen in
    *" $ns "*) ;;
    *) seen="$seen$ns " tables="$tables $dir"net/unix ;;
  esac
done
# What is served there: an inode and a path each.
sockets=$(
  # shellcheck disable=SC2086 # a list
  cat $tables 2>/dev/null | while read -r _ _ _ _ _ _ inode path; do
    case $path in
      "$base"|*/"$base") echo "$inode $path" ;;
    esac
  done
)
find_pid() {
  [ -n "$qemus" ] || return 0
  echo "$sockets" | while read -r inode path; do
    [ -n "$inode" ] || continue
    # shellcheck disable=SC2086 # a list
    for fd in $(find $qemus -lname "socket:\[$inode\]" 2>/dev/null); do
      pid=$(echo "$fd" | cut -d / -f 3)
      if is_ours "$pid" "$path"; then echo "$pid"; fi
    done
  done | sort -u
}
`;
