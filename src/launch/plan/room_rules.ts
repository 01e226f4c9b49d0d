/**
 * Whether the destination has room for what is created there. Pure.
 *
 * @module
 */
import { aboutSize } from "../../io/mod.ts";
import type { Collected } from "../../migrate/mod.ts";

/** A file that is created. Sizes in bytes. */
export interface NewFileRoom {
  readonly name: string;
  /** Its path at the destination. */
  readonly path: string;
  /** Bytes that it needs for certain. */
  readonly least: number;
  /** Bytes that it can come to need. */
  readonly most: number;
  /** Free bytes of its file system; `null` where unknown. */
  readonly free: number | null;
}

/**
 * Compares the free room of each file system with what is created there. The destination reports no file
 * system: directories with the same number of free bytes are on one.
 */
export function judgeRoom(files: readonly NewFileRoom[], found: Collected): void {
  const systems = Map.groupBy(files.filter(({ free }) => free !== null), ({ free }) => free!);
  for (const [free, here] of systems) {
    const least = here.reduce((sum, file) => sum + file.least, 0);
    const most = here.reduce((sum, file) => sum + file.most, 0);
    const names = here.map(({ name }) => name).join(", ");
    const [{ path }] = here as [NewFileRoom, ...NewFileRoom[]];
    const where = path.slice(0, path.lastIndexOf("/")) || "/";
    if (free < least) {
      found.problem(
        "destination",
        "no-room",
        `${where} has ${aboutSize(free)} free, ${names} need ${
          aboutSize(least)
        }. Make room, or give ` +
          "another path with --map OLD=NEW",
      );
    } else if (free < most) {
      found.warnings.push(
        `${where} of the destination has ${aboutSize(free)} free, less than the size of ${names} ` +
          `(${aboutSize(most)}): the migration fails if more than that is written`,
      );
    }
  }
}
