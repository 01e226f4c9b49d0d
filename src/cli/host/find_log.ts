/**
 * A script for sh: finds the process that serves the QMP socket `$1`, opens its log, waits for a line
 * on standard input, and prints what the log has gained. Says `ready` once it has the log open; prints
 * nothing where there is none.
 *
 * - The socket's inode stands in /proc/net/unix, the process has it among its descriptors. A path there
 *   is as QEMU bound it, perhaps relative to its working directory.
 * - Only a regular file is opened. To read a pipe or a terminal would take the words from its owner.
 * - `-f /proc/PID/fd/2` also holds for a file in another mount namespace, or one that was deleted.
 * - A socket as standard error is systemd's journal. libvirt's virtlogd has a pipe, and the guest's name
 *   leads to its file.
 */
export const FIND_LOG = String.raw`
trap '' INT TERM HUP PIPE
qmp=$1
real=$(readlink -f -- "$qmp")
base=$(basename -- "$real")
is_ours() {
  case $2 in
    /*) [ "$2" -ef "$qmp" ] ;;
    *) [ "/proc/$1/cwd/$2" -ef "$qmp" ] ;;
  esac
}
# What is served there: an inode and a path each.
sockets=$(
  while read -r _ _ _ _ _ _ inode path; do
    case $path in
      "$base"|*/"$base") echo "$inode $path" ;;
    esac
  done </proc/net/unix
)
# Few processes are looked at: to read every descriptor of a large host takes long.
qemus=$(grep -lEa 'qemu|kvm' /proc/[0-9]*/cmdline 2>/dev/null | sed 's/cmdline$/fd/')
find_pid() {
  echo "$sockets" | while read -r inode path; do
    [ -n "$inode" ] || continue
    # shellcheck disable=SC2086 # a list
    for fd in $(find $qemus -lname "socket:\[$inode\]" 2>/dev/null); do
      pid=$(echo "$fd" | cut -d / -f 3)
      if is_ours "$pid" "$path"; then echo "$pid"; fi
    done
  done | sort -u
}
argument() {
  tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | sed -n "/^$1\$/{n;p;q;}"
}
pid=
[ -z "$qemus" ] || pid=$(find_pid)
# Two processes that share a socket: neither is certain to be QEMU.
case $pid in ''|*[!0-9]*) exit 0 ;; esac
log=
size=0
journal=
from=$(date +%s)
if [ -f "/proc/$pid/fd/2" ]; then
  log=/proc/$pid/fd/2
else
  case $(readlink "/proc/$pid/fd/2") in
    socket:*) command -v journalctl >/dev/null && journal=1 ;;
  esac
  name=$(argument -name | sed 's/.*guest=//; s/,.*//')
  for file in "$(argument -D)" "/var/log/libvirt/qemu/$name.log"; do
    if [ -z "$log$journal" ] && [ -f "$file" ]; then log=$file; fi
  done
fi
if [ -n "$log" ]; then
  exec 3<"$log" || exit 0
  size=$(stat -L -c %s "$log")
  # Without O_APPEND QEMU goes on where it stopped, whatever others have added.
  flags=$(sed -n 's/^flags:[[:space:]]*//p' "/proc/$pid/fdinfo/2" 2>/dev/null)
  [ -n "$flags" ] || flags=2000
  if [ "$log" = "/proc/$pid/fd/2" ] && [ $((0$flags & 02000)) = 0 ]; then
    size=$(sed -n 's/^pos:[[:space:]]*//p' "/proc/$pid/fdinfo/2")
  fi
elif [ -z "$journal" ]; then
  exit 0
fi
echo ready
read -r _ || exit 0
if [ -n "$journal" ]; then
  # The journal takes a moment to have what QEMU said last.
  sleep 0.3
  journalctl -q "_PID=$pid" --since "@$from" -o cat -n 20 --no-pager 2>/dev/null
  exit 0
fi
# One that was emptied meanwhile (logrotate's copytruncate) begins anew.
now=$(stat -L -c %s /proc/$$/fd/3)
[ "$now" -ge "$size" ] || size=0
tail -c "+$((size + 1))" <&3 | tail -c 8192
`;
