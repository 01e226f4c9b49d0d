import type { RunProgram } from "../../host/mod.ts";

/**
 * The first part of scripts for sh: `find_pid` prints the ids of the processes that serve the QMP socket
 * `$1`, a line each; `$hidden` has those of the QEMUs that this user may not look at.
 *
 * - The socket's inode stands in the `net/unix` of its network namespace, and the process has it among its
 *   descriptors. The path there is as QEMU bound it: of its own root, perhaps relative to its working
 *   directory.
 * - With a second argument, only sockets with those flags count, such as 00000000: accepted connections.
 * - Only a process with `qemu` or `kvm` in its command line counts: to read every descriptor of a large
 *   host takes long.
 */
export const FIND_QEMU = String.raw`
qmp=$1
only=$2
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
  cat $tables 2>/dev/null | while read -r _ _ _ has _ _ inode path; do
    [ -z "$only" ] || [ "$has" = "$only" ] || continue
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

/** How long a look at the QEMUs may take, ms. */
const LOOK_MS = 60_000;

/**
 * The flags of a connection that was accepted. A QEMU that listens may have lost the path to another one.
 */
const ACCEPTED = "00000000";

/** Prints a line for each QEMU that has such a connection to the socket `$1`: its id and those above it. */
const SERVERS = `
${FIND_QEMU}
for pid in $(find_pid); do
  line=
  while [ "\${pid:-0}" -gt 1 ]; do
    line="$line $pid"
    pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null)
  done
  echo "$line"
done
`;

/**
 * The QEMUs that have accepted a connection to a UNIX socket, each with the processes above it; none where
 * this user may not look at them.
 */
export async function qmpServers(
  run: RunProgram,
  path: string,
): Promise<readonly (readonly number[])[]> {
  const { stdout } = await run(["sh", "-c", SERVERS, "sh", path, ACCEPTED], { timeoutMs: LOOK_MS });
  return stdout.split("\n").map((line) => line.trim()).filter((line) => line !== "")
    .map((line) => line.split(" ").map(Number));
}

/** Ends with 0 if one of these process ids is that of a process that has not ended. */
const RUNS = `
for pid; do
  [ -d "/proc/$pid" ] || continue
  grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null || exit 0
done
exit 1
`;

/**
 * Finds the QEMUs of this host that have a QMP socket, and resolves to whether one of them still runs. Those that
 * this user may not look at are not found. Never rejects.
 */
export async function qmpProcesses(
  run: RunProgram,
  qmp: string,
): Promise<() => Promise<boolean>> {
  const look = (script: string, args: readonly string[]) =>
    run(["sh", "-c", script, "sh", ...args], { timeoutMs: LOOK_MS }).catch(() => undefined);
  const found = await look(`${FIND_QEMU}\nfind_pid`, [qmp]);
  const pids = found?.stdout.split("\n").filter((line) => line !== "") ?? [];
  return async () => pids.length > 0 && (await look(RUNS, pids))?.code === 0;
}
