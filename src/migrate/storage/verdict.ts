/**
 * The verdict on two disks from their common blocks. Pure.
 *
 * @module
 */

/** A sample of a source's disk, and how many of its blocks a destination's disk has. */
export interface Match {
  /** The source's disk. */
  readonly source: string;
  /** The destination's, by the source's name for it. */
  readonly destination: string;
  /** Number of equal blocks. */
  readonly equal: number;
  /** Number of blocks of the sample. */
  readonly total: number;
}

/**
 * Samples with fewer blocks are inconclusive. One block is enough: on common storage a disk with nothing but a
 * partition table would be lost too, and a new image at the destination has no such block.
 */
export const FEWEST = 1;

/**
 * Share of equal blocks from which on a disk counts as a copy. Not all: the guest writes meanwhile, and its
 * writes may still be in a cache of the source's host.
 */
const SHARE = 0.9;

/** Share of equal blocks from which on the different blocks are read once more. */
const AGAIN = 0.25;

/**
 * Whether the destination's disk has the data of the source's disk.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { holds } from "./verdict.ts";
 *
 * assertEquals(holds({ equal: 58, total: 64 }), true);
 * assertEquals(holds({ equal: 12, total: 64 }), false);
 * ```
 */
export function holds({ equal, total }: Pick<Match, "equal" | "total">): boolean {
  return total >= FEWEST && equal >= total * SHARE;
}

/** Whether the guest may have written the different blocks between both reads. */
export function isWorthAnotherLook({ equal, total }: Pick<Match, "equal" | "total">): boolean {
  return total >= FEWEST && equal < total && equal >= total * AGAIN;
}

/** What is known about the destination's disks beside their data; names of the source's disks. */
export interface Known {
  /** Disks of --reuse. */
  readonly reuse: readonly string[];
  /** Disks of --shared, and those of `implied`. */
  readonly shared: readonly string[];
  /** Disks that stay on their storage only because other guests may use it. */
  readonly implied: readonly string[];
  /** Disks that were overwritten since their QEMU started: their earlier data is gone already. */
  readonly overwritten: readonly string[];
}

/** Problems that must prevent the migration, and warnings; a message each. */
export function judge(
  matches: readonly Match[],
  { reuse, shared, implied, overwritten }: Known,
): { readonly problems: string[]; readonly warnings: string[] } {
  const problems = matches.filter(holds)
    .filter(({ destination: d }) => ![...reuse, ...shared, ...overwritten].includes(d))
    .map(sentence);
  const differing = shared.flatMap((disk) => {
    const own = matches.filter((m) => m.source === disk && m.destination === disk);
    const best = own.toSorted((a, b) => b.equal / b.total - a.equal / a.total)[0];
    return !best || best.total < FEWEST || holds(best) ? [] : [best];
  });
  problems.push(...differing.filter(({ source }) => implied.includes(source)).map(otherStorage));
  const warnings = differing.filter(({ source }) => !implied.includes(source)).map((best) =>
    `shared disk ${best.source} differs: the destination's has only ${best.equal} of ` +
    `${best.total} blocks of the source's. Make sure that both hosts use the same storage: it is not copied`
  );
  return { problems: [...new Set(problems)], warnings };
}

function otherStorage({ source, equal, total }: Match): string {
  return `disk ${source} is not copied, because it is shared with other guests (share-rw=on), and the ` +
    `destination's disk is other storage: it has only ${equal} of ${total} blocks of the source's. ` +
    "Give the destination's QEMU the same storage; if it has that and other guests write much to it, add " +
    `--shared ${source}. If no other guest uses the disk, name all disks to copy with --disk at both ends, ` +
    `${source} among them`;
}

function sentence({ source, destination, equal, total }: Match): string {
  return `disk ${destination} has the data of the source's disk ${source}: ${equal} of ${total} blocks ` +
    "picked at random are the same. Expected storage that is not the source's. If it is an old copy " +
    `to be overwritten, add --reuse ${destination}; if both hosts share the storage, add --shared ` +
    destination;
}
