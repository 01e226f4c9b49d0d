import { FIND_QEMU } from "./find_qemu.ts";

/**
 * A script for sh: finds the process that serves the QMP socket `$1`, opens its log, waits for a line
 * on standard input, and prints what the log has gained. Says `ready` once it has the log open; prints
 * nothing where there is none.
 *
 * - Only a regular file is opened. To read a pipe or a terminal would take the words from its owner.
 * - `-f /proc/PID/fd/2` also holds for a file in another mount namespace, or one that was deleted.
 * - A socket as standard error is systemd's journal. libvirt's virtlogd has a pipe, and the guest's name
 *   leads to its file.
 */
export const FIND_LOG = String.raw`
trap '' INT TERM HUP PIPE
${FIND_QEMU}
argument() {
  tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | sed -n "/^$1\$/{n;p;q;}"
}
pid=$(find_pid)
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
