/**
 * Why the other host can't take this program, with what to do about it.
 *
 * @module
 */
import { printable } from "../../io/mod.ts";
import type { OwnProgram } from "../transport.ts";
import type { CannotCarryError } from "./carry.ts";

/** What every message ends with. */
const BY_HAND = "install vmferry on that host, or give its path there with --remote-command PATH";

/** The message for an error of the start script on `host`. */
export function cannotWords(
  { why, detail, noFile }: CannotCarryError,
  host: string,
  { version, machines }: OwnProgram,
): string {
  const what = printable(detail);
  const there = `There is no vmferry ${version} on ${host}, and`;
  switch (why) {
    case "absent": {
      const other = what === "" ? "" : ` (${what} is of another version)`;
      return `There is no vmferry ${version} on ${host}${other}, and this one can't send itself: ` +
        `${noFile}. Install vmferry ${version} on that host, or give the path of another one there ` +
        "with --remote-command PATH";
    }
    case "machine":
      return `${there} this one can't run there: the CPU architecture of ${host} is ${what}, this ` +
        `host's is ${machines[0]}`;
    case "system":
      return `${there} this one can't run there: ${host} has ${what}, expected Linux`;
    case "tool":
      return `${there} it can't check a copy: it has no ${what}. Install that, or ${BY_HAND}`;
    case "private":
      return `${there} it has no directory for a copy that no other user can write to (${what} is ` +
        `not): set HOME to a directory of the user's own there, or ${BY_HAND}`;
    case "write":
      return `${there} a copy can't be written to ${what} on ${host}: is the disk full, or ` +
        `read-only? Free some space, or ${BY_HAND}`;
    case "noexec":
      return `${there} programs can't be executed in ${what} on ${host}: it may be mounted ` +
        `noexec. Otherwise ${BY_HAND}`;
    case "room": {
      const [free, ...dir] = what.split(" ");
      return `${there} there is not enough room for it in ${dir.join(" ")} on ${host}: only ` +
        `${Math.floor(Number(free) / 1024)} MiB are free. Free some space, or ${BY_HAND}`;
    }
    case "damaged":
      return `${there} the copy in ${what} on ${host} was damaged on its way: its SHA-256 is not ` +
        "that of this program. Try again";
    case "run":
      return `${there} this one does not run there: ${
        what || "it said nothing"
      }. Otherwise ${BY_HAND}`;
    default:
      return `${host} can't take this vmferry (${why} ${what}): ${BY_HAND}`;
  }
}
