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

/** Files on one file system. */
interface System {
  readonly free: number;
  readonly directory: string;
  readonly files: NewFileRoom[];
}

/** Compares the free room of each file system with what is created there. */
export function judgeRoom(files: readonly NewFileRoom[], found: Collected): void {
  for (const { free, directory, files: here } of systemsOf(files)) {
    const least = here.reduce((sum, file) => sum + file.least, 0);
    const most = here.reduce((sum, file) => sum + file.most, 0);
    const names = here.map(({ name }) => name).join(", ");
    if (free < least) {
      found.problem(
        "destination",
        "no-room",
        `${directory} has ${aboutSize(free)} free, expected ${
          aboutSize(least)
        } for ${names}. Make ` +
          "room, or give another path with --map OLD=NEW",
      );
    } else if (free < most) {
      found.warnings.push(
        `${directory} of the destination has ${
          aboutSize(free)
        } free, less than the size of ${names} ` +
          `(${aboutSize(most)}): the migration fails if more than that is written`,
      );
    }
  }
}

/**
 * Groups the files. The destination reports no file system: directories with the same number of free bytes
 * are on one, and so are files of one directory, whatever was written there between two looks.
 */
function systemsOf(files: readonly NewFileRoom[]): System[] {
  const systems: System[] = [];
  for (const file of files) {
    const { free, path } = file;
    if (free === null) continue;
    const directory = path.slice(0, path.lastIndexOf("/")) || "/";
    const system = systems.find((known) => known.free === free || known.directory === directory);
    if (system) system.files.push(file);
    else systems.push({ free, directory, files: [file] });
  }
  return systems;
}
