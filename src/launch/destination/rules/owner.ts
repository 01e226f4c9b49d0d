import { command } from "../../../host/mod.ts";
import type { LaunchStart } from "../../../rpc/mod.ts";
import type { LaunchHost } from "../host.ts";

/** A user and group by numbers. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Prints the numbers of user `$1` and group `$2`, names or numbers; an empty line where there is none. */
const IDS = `
number() { getent "$1" "$2" 2>/dev/null | cut -d: -f3; }
number passwd "$1" | grep . || echo
number group "$2" | grep . || echo
`;

/** The user that QEMU runs as, or why it cannot. */
export async function findOwner(
  { run, user }: LaunchHost,
  wanted: LaunchStart["user"],
): Promise<{ readonly owner: Owner | null } | { readonly problem: string }> {
  if (wanted === null) return { owner: null };
  const text = await command(run, ["sh", "-c", IDS, "sh", wanted.user, wanted.group]);
  const [uid = "", gid = ""] = text.split("\n");
  const missing = uid === "" ? `user ${wanted.user}` : gid === "" ? `group ${wanted.group}` : null;
  if (missing !== null) {
    return {
      problem:
        `The destination has no ${missing}, as which the source's QEMU runs. Create it there`,
    };
  }
  if (user.uid !== 0 && Number(uid) !== user.uid) {
    return {
      problem:
        `Only root starts a QEMU as ${wanted.user}, and vmferry runs as ${user.name} at the ` +
        "destination. Let root run it there",
    };
  }
  return { owner: { uid: Number(uid), gid: Number(gid) } };
}
