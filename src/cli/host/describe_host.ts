import { messageOf, systemClock, withDeadline } from "../../io/mod.ts";
import type { Logger } from "../../io/mod.ts";
import type { DescribeHost } from "../../migrate/mod.ts";
import { parseHost } from "./host_report.ts";

/** How long a look at files may take, ms: one on a server that is away hangs. */
const LOOK_MS = 5_000;

/**
 * Reports what stands behind paths: `stat`, and for block devices what /sys says of them. A shell does it,
 * because /proc and /sys are out of reach of a program that may not do everything.
 *
 *     boot ID | net ID                 of the host
 *     file N DEVICE INODE              of path N; DEVICE is st_dev as a number
 *     block DEPTH MAJOR:MINOR          of the path before, or below the block device of one depth less
 *     wwid, dm, part, loop             of the block device before
 *     mounts                           /proc/self/mountinfo follows
 *
 * Members are separated by tabs.
 */
const SCRIPT = `
say() { printf '%s' "$1"; shift; for a do printf '\\t%s' "$a"; done; printf '\\n'; }
entry() (
  found=$(stat -L -c '%d	%i' -- "$2" 2>/dev/null) || exit 0
  say "$1" "$3" "$found"
  [ -b "$2" ] || exit 0
  major=$(stat -L -c %t -- "$2") minor=$(stat -L -c %T -- "$2")
  block "$((0x$major)):$((0x$minor))" "$3" 0
)
block() (
  d=/sys/dev/block/$1
  say block "$3" "$1"
  for f in wwid device/wwid; do [ -r "$d/$f" ] && say wwid "$(cat "$d/$f")"; done
  [ -r "$d/dm/uuid" ] && say dm "$(cat "$d/dm/uuid")"
  if [ -r "$d/loop/backing_file" ]; then
    say loop "$(cat "$d/loop/offset")" "$(cat "$d/loop/sizelimit")"
    entry loopfile "$(cat "$d/loop/backing_file")" "$2"
  fi
  [ "$3" -ge 4 ] && exit 0
  if [ -e "$d/partition" ]; then
    say part
    block "$(cat "$d/../dev")" "$2" $(($3 + 1))
  else
    for s in "$d"/slaves/*; do
      [ -r "$s/dev" ] && block "$(cat "$s/dev")" "$2" $(($3 + 1))
    done
  fi
)
say boot "$(cat /proc/sys/kernel/random/boot_id)"
say net "$(readlink /proc/self/ns/net)"
i=0
for path do entry file "$path" $i; i=$((i + 1)); done
say mounts
cat /proc/self/mountinfo
`;

/** Looks at this host and its files. */
export function describeHost(log: Logger): DescribeHost {
  return async (paths) => {
    const addresses = addressesOf(log);
    try {
      const report = await run(paths);
      return { ...parseHost(report, paths.length), addresses };
    } catch (error) {
      log.log("warning", `this host could not be looked at: ${messageOf(error)}`);
      return { bootId: "", network: "", addresses, files: paths.map(() => undefined) };
    }
  };
}

async function run(paths: readonly string[]): Promise<string> {
  const child = new Deno.Command("sh", {
    args: ["-c", SCRIPT, "sh", ...paths],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    const output = child.output();
    const { stdout } = await withDeadline(systemClock, LOOK_MS, "the look at files", output);
    return new TextDecoder().decode(stdout);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

function addressesOf(log: Logger): string[] {
  try {
    return Deno.networkInterfaces().map(({ address }) => address.toLowerCase());
  } catch (error) {
    log.log("debug", `addresses of this host: ${messageOf(error)}`);
    return [];
  }
}
