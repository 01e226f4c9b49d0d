import { FIND_QEMU } from "./find_qemu.ts";

/**
 * A script for sh: describes the process that serves the QMP socket `$1`. Members of a line are separated
 * by tabs; B stands for base64, because words and paths may have any byte.
 *
 *     hidden PID...            QEMUs that this user may not look at
 *     pid PID                  that of a process with the socket; nothing follows unless it is the only one
 *     argv B, environ B        as in /proc
 *     exe B, cwd B             its links; `exe` may end with ` (deleted)`
 *     parent PID
 *     user UID NAME, group GID NAME     its effective ones; NAME may be empty
 *     mounts same|private|foreign       `private`: a namespace of its own with this host's root directory
 *     cgroup LINE              each line of /proc/PID/cgroup
 *     fd N B                   a descriptor above 2 that exec does not close, and its target
 */
export const DESCRIBE_QEMU = String.raw`
${FIND_QEMU}
say() { printf '%s' "$1"; shift; for a do printf '\t%s' "$a"; done; printf '\n'; }
coded() { base64 | tr -d '\n'; }
link() { readlink "$1" | coded; }
field() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
name_of() { getent "$1" "$2" | cut -d : -f 1; }
say hidden "$hidden"
pids=$(find_pid)
for pid in $pids; do say pid "$pid"; done
case $pids in ''|*[!0-9]*) exit 0 ;; esac
pid=$pids
say argv "$(coded <"/proc/$pid/cmdline")"
say environ "$(coded <"/proc/$pid/environ")"
say exe "$(link "/proc/$pid/exe")"
say cwd "$(link "/proc/$pid/cwd")"
say parent "$(field PPid)"
uid=$(field Uid | cut -f 2)
gid=$(field Gid | cut -f 2)
say user "$uid" "$(name_of passwd "$uid")"
say group "$gid" "$(name_of group "$gid")"
mounts=same
if [ "$(readlink "/proc/$pid/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]; then mounts=private; fi
[ "/proc/$pid/root/" -ef / ] || mounts=foreign
say mounts "$mounts"
while read -r line; do say cgroup "$line"; done <"/proc/$pid/cgroup"
grep -H '^flags:' "/proc/$pid/fdinfo"/* 2>/dev/null | while read -r file flags; do
  fd=$(echo "$file" | sed 's/.*fdinfo.//; s/:.*//')
  # 02000000 is O_CLOEXEC: a descriptor that has it was not inherited.
  if [ "$fd" -gt 2 ] && [ $((0$flags & 02000000)) = 0 ]; then
    say fd "$fd" "$(link "/proc/$pid/fd/$fd")"
  fi
done
`;
