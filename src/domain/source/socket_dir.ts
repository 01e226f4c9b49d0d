/**
 * The directory of QEMU's sockets, whose path is the same on both hosts. Pure.
 *
 * @module
 */
import { MigrationError } from "../../migrate/mod.ts";

/** The last name of such a directory. */
const NAME = /^vmferry-[0-9a-f]{8}$/;

/**
 * Chooses the directory.
 *
 * @param here directories in which this user can make one, best first; `there`: those of the destination.
 * @param id 8 hexadecimal digits that nobody else chooses.
 * @throws {MigrationError} kind `refused`, code `no-socket-directory`, where the hosts have none in common.
 */
export function chooseSocketDir(
  here: readonly string[],
  there: readonly string[],
  id: string,
): string {
  const parent = there.find((path) => here.includes(path));
  if (parent !== undefined) return `${parent}/vmferry-${id}`;
  const message =
    `The sockets of QEMU need the same directory on both hosts. vmferry can make one in ` +
    `${here.join(" or ")} here, and in ${
      there.join(" or ")
    } at the destination. Run it as the same kind of ` +
    "user on both hosts: root, or an ordinary user";
  throw new MigrationError("refused", "no-socket-directory", "source", message);
}

/** Whether a path is such a directory, so that it may be removed. */
export function isSocketDir(path: string): boolean {
  return path.startsWith("/") && !path.includes("/../") &&
    NAME.test(path.slice(path.lastIndexOf("/") + 1));
}
