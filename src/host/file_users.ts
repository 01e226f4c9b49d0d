/**
 * The processes of this host that have a file open. Without lsof, which few hosts have.
 *
 * @module
 */
import { command } from "./paths.ts";
import type { RunProgram } from "./program.ts";

/** How long the look at all processes may take, ms. */
const LOOK_MS = 20_000;

/**
 * Prints a line for each path that a process has open, or a mount uses: its index, the process. Only
 * descriptors that lead to a path are looked at: sockets and pipes are most of them. A file is known by device and inode,
 * a block device by its number, whichever node leads to it.
 */
const USERS = `
# Descriptors of processes that end meanwhile.
exec 2>/dev/null
wanted=
i=0
for path do
  if [ -b "$path" ]; then
    key="b $(stat -L -c '%t:%T' -- "$path")"
    number=$((0x$(stat -L -c %t -- "$path"))):$((0x$(stat -L -c %T -- "$path")))
    at=$(awk -v n="$number" '$3 == n { print $5; exit }' /proc/self/mountinfo)
    [ -z "$at" ] || printf '%s\\t%s\\n' "$i" "the file system at $at"
  elif [ -f "$path" ]; then
    key="f $(stat -L -c '%d:%i' -- "$path")"
  else
    i=$((i + 1))
    continue
  fi
  wanted="$wanted$i $key
"
  i=$((i + 1))
done
[ -n "$wanted" ] || exit 0
find /proc/[0-9]*/fd -maxdepth 1 -lname '/*' -exec stat -L -c '%F|%d:%i|%t:%T|%n' {} + |
awk -F '|' -v wanted="$wanted" '
  BEGIN {
    n = split(wanted, lines, "\\n")
    for (k = 1; k <= n; k++) if (split(lines[k], w, " ") == 3) at[w[2] " " w[3]] = at[w[2] " " w[3]] w[1] " "
  }
  {
    key = $1 ~ /^block/ ? "b " $3 : "f " $2
    if (!(key in at)) next
    split($4, parts, "/")
    m = split(at[key], each, " ")
    for (k = 1; k <= m; k++) if (each[k] != "") print each[k], parts[3]
  }
' | sort -u | while read -r i pid; do
  printf '%s\\t%s (pid %s)\\n' "$i" "$(cat "/proc/$pid/comm")" "$pid"
done
`;

/** Who has each path open, as text for people; `undefined` where nobody has, or this user may not see it. */
export async function fileUsers(
  run: RunProgram,
  paths: readonly string[],
): Promise<(string | undefined)[]> {
  if (paths.length === 0) return [];
  const text = await command(run, ["sh", "-c", USERS, "sh", ...paths], LOOK_MS);
  const users: (string | undefined)[] = paths.map(() => undefined);
  for (const line of text.split("\n")) {
    const [index, user] = line.split("\t");
    if (user) users[Number(index)] ??= user;
  }
  return users;
}
