/**
 * Why the other host can't take this program, with what to do about it.
 *
 * @module
 */
import { printable } from "../../io/mod.ts";
import type { OwnProgram } from "../transport.ts";
import type { CannotCarryError } from "./carry.ts";

const BY_HAND = "nstall vmferry there, or give its path with --remote-command PATH";
const INSTALL = `I${BY_HAND}`;
const OR_INSTALL = `or i${BY_HAND}`;

/** The message for an error of the start script on `host`. */
export function cannotWords(
  { why, detail, noFile }: CannotCarryError,
  host: string,
  { version, machines }: OwnProgram,
): string {
  const what = printable(detail);
  const words = what.split(" ");
  const none = `${host} has no vmferry ${version}`;
  switch (why) {
    case "absent": {
      const other = what === "" ? "" : ` (its ${what} is of another version)`;
      return `${none}${other}, and this one can't be copied: ${noFile}. Install that version ` +
        "there, or give the path of another one with --remote-command PATH";
    }
    case "machine":
      return `This vmferry can't run on ${host}: the CPU architecture there is ${what}, here it is ` +
        `${machines[0]}. Choose a host of the same architecture`;
    case "system":
      return `This vmferry can't run on ${host}, whose system is ${what}, expected Linux`;
    case "tool":
      return `${none}, and no ${what} to check a copy with. Install that, ${OR_INSTALL}`;
    case "private":
      return `${none}, and no private directory for a copy: another user can write to ${what}. Give ` +
        `the user a home directory there, ${OR_INSTALL}`;
    case "write":
      return `${none}, and a copy can't be written to ${what}: the disk may be full or read-only. ` +
        `Free some space, ${OR_INSTALL}`;
    case "noexec":
      return `${none}, and executes no program in ${what}, which may be mounted noexec. ${INSTALL}`;
    case "room": {
      const [free, needed] = words.map((kib) => `${Math.floor(Number(kib) / 1024)} MiB`);
      return `${none}, and no room for a copy in ${
        words.slice(2).join(" ")
      }: ${needed} are needed, ` +
        `${free} are free. Free some space, ${OR_INSTALL}`;
    }
    case "damaged":
      return `The copy of vmferry was damaged on its way to ${host}: it has another SHA-256. Try again`;
    case "run":
      return `${none}, and this one does not run there: "${what}". ${INSTALL}`;
    default:
      return `${host} can't take this vmferry (${printable(why)} ${what}). ${INSTALL}`;
  }
}
