/**
 * Whether the destination has room for the images that are created. Pure.
 *
 * @module
 */
import { Collected, type Findings } from "./findings.ts";
import type { CopiedDisk } from "./image_rules.ts";
import { about } from "./words.ts";

/** Images on one file system or in one pool. */
interface Place {
  readonly disks: CopiedDisk[];
  readonly pool: string | null;
  readonly directory: string;
  /** Bytes. */
  readonly free: number;
}

/**
 * Compares the free room of each file system or pool with the images that are created there: less than the
 * source's allocated bytes is a problem, less than the virtual sizes a warning.
 */
export function judgeRoom(disks: readonly CopiedDisk[]): Findings {
  const found = new Collected();
  for (const place of placesOf(disks.filter(({ there }) => there.state === "missing"))) {
    const { free } = place;
    const allocated = sum(
      place.disks,
      ({ image }) => Math.min(image.allocatedBytes ?? 0, image.sizeBytes),
    );
    const virtual = sum(place.disks, ({ image }) => image.sizeBytes);
    const names = place.disks.map(({ name }) => name).join(", ");
    const where = place.pool === null ? place.directory : `pool ${place.pool}`;
    const what = place.disks.length === 1 ? `disk ${names}` : `disks ${names}`;
    if (free < allocated) {
      found.problem(
        "destination",
        "no-room",
        `${where} has ${about(free)} free, ${what} occupy ${
          about(allocated)
        } at the source. Make room, or ` +
          "give another path with -- --xml FILE",
      );
    } else if (free < virtual) {
      found.warnings.push(
        `${where} of the destination has ${about(free)} free, less than the size of ${what} ` +
          `(${about(virtual)}): the migration fails if more than that is written`,
      );
    }
  }
  return found;
}

/**
 * Groups the disks. The destination reports no file system: directories with the same number of free bytes
 * are on one.
 */
function placesOf(disks: readonly CopiedDisk[]): Place[] {
  const places: Place[] = [];
  for (const disk of disks) {
    const { freeBytes, pool } = disk.there;
    if (freeBytes === null) continue;
    const directory = disk.path.slice(0, disk.path.lastIndexOf("/")) || "/";
    const place = places.find((known) =>
      known.free === freeBytes || known.directory === directory ||
      (pool !== null && known.pool === pool)
    );
    if (place) place.disks.push(disk);
    else places.push({ disks: [disk], pool, directory, free: freeBytes });
  }
  return places;
}

function sum(disks: readonly CopiedDisk[], size: (disk: CopiedDisk) => number): number {
  return disks.reduce((total, disk) => total + size(disk), 0);
}
