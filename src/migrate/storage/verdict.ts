/**
 * What follows from what both ends hold. Pure.
 *
 * @module
 */

/** A sample of the source's, and how much of it a disk of the destination holds. */
export interface Match {
  /** The source's disk. */
  readonly source: string;
  /** The destination's, by the source's name for it. */
  readonly destination: string;
  /** Blocks. */
  readonly equal: number;
  readonly total: number;
}

/**
 * Fewer blocks than these say nothing. One is enough: a disk that only has a partition table is lost as any
 * other where both ends have one storage, and a fresh image at the destination has no such block.
 */
export const FEWEST = 1;

/**
 * Share of the blocks that tells a copy. Not all of them: the guest writes meanwhile, and what it has written
 * may stand in a cache of the source's host.
 */
const SHARE = 0.9;

/** Share from which on it is worth to look once more at the blocks that differ. */
const AGAIN = 0.25;

/** The disk holds what the source's disk holds. */
export function holds({ equal, total }: Pick<Match, "equal" | "total">): boolean {
  return total >= FEWEST && equal >= total * SHARE;
}

/** The blocks that differ may have been written in between. */
export function isWorthAnotherLook({ equal, total }: Pick<Match, "equal" | "total">): boolean {
  return total >= FEWEST && equal < total && equal >= total * AGAIN;
}

export interface Known {
  /** Disks that the user calls old copies. */
  readonly reuse: readonly string[];
  /** Disks that the user calls shared. */
  readonly shared: readonly string[];
  /** Disks that were copied to already since their QEMU runs: what stood there before is gone. */
  readonly overwritten: readonly string[];
}

/** What stands in the way, and what is worth a warning; a sentence each. */
export function judge(
  matches: readonly Match[],
  { reuse, shared, overwritten }: Known,
): { readonly problems: string[]; readonly warnings: string[] } {
  const problems = matches.filter(holds)
    .filter(({ destination: d }) => ![...reuse, ...shared, ...overwritten].includes(d))
    .map(sentence);
  const warnings = shared.flatMap((disk) => {
    const own = matches.filter((m) => m.source === disk && m.destination === disk);
    const best = own.toSorted((a, b) => b.equal / b.total - a.equal / a.total)[0];
    if (!best || best.total < FEWEST || holds(best)) return [];
    return [
      `disk ${disk} was given with --shared, but the destination's holds only ${best.equal} of ` +
      `${best.total} blocks of the source's. Make sure that both ends have the same storage: it is not copied`,
    ];
  });
  return { problems: [...new Set(problems)], warnings };
}

function sentence({ source, destination, equal, total }: Match): string {
  return `disk ${destination} holds what the source's disk ${source} holds: ${equal} of ${total} blocks ` +
    "picked at random are the same. Expected storage that is not the source's. Add " +
    `--reuse ${destination} if it is an old copy to be overwritten, or --shared ${destination} where both ` +
    "ends use one storage";
}
