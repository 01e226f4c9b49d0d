import type { Domain, DomainDisk, Pool, Virsh } from "../../libvirt/mod.ts";
import { attempt } from "./attempt.ts";
import type { Collected } from "./findings.ts";

/** A disk and its place on both hosts. */
export interface PlacedDisk {
  /** As the source has it. */
  readonly here: DomainDisk;
  /** As the destination will have it: the same, or as `--xml` says. */
  readonly there: DomainDisk;
  /** Path at the source. */
  readonly path: string;
  /** Path at the destination. */
  readonly pathThere: string;
}

/** What is needed to find the places. */
export interface PlaceAccess {
  /** The domain as the destination gets it. */
  readonly there: Domain;
  readonly source: Virsh;
  /** The destination's pools; `null` where unknown. */
  readonly pools: Promise<readonly Pool[] | null>;
  readonly signal: AbortSignal;
}

/**
 * Finds the paths of disks on both hosts. A volume's path comes from its pool. Disks without a path, such
 * as network storage, are left out; so are those of a pool that the destination lacks, which is another
 * rule's problem.
 */
export async function placeDisks(
  disks: readonly DomainDisk[],
  access: PlaceAccess,
  found: Collected,
): Promise<PlacedDisk[]> {
  const placed = await Promise.all(disks.map(async (here) => {
    const there = access.there.disks.find(({ target }) => target === here.target);
    if (!there) {
      const message = `-- --xml: the file has no disk ${here.target}, which the domain has. Add it`;
      found.problem("source", "option-refused", message);
      return [];
    }
    const path = await pathHere(here, access, found);
    const pathThere = there.path ?? volumePath(there, await access.pools, found);
    return path === null || pathThere === null ? [] : [{ here, there, path, pathThere }];
  }));
  return placed.flat();
}

async function pathHere(
  { path, pool, volume }: DomainDisk,
  { source, signal }: PlaceAccess,
  found: Collected,
): Promise<string | null> {
  if (path !== null) return path;
  if (pool === null || volume === null) return null;
  const call = source.ask(["vol-path", "--pool", pool, "--vol", volume], { signal });
  return (await attempt(call, "source", found))?.trim() ?? null;
}

function volumePath(
  { target, pool: name, volume }: DomainDisk,
  pools: readonly Pool[] | null,
  found: Collected,
): string | null {
  if (name === null || volume === null) return null;
  const pool = pools?.find((known) => known.name === name);
  if (!pool) return null;
  if (pool.path === null) {
    found.problem(
      "source",
      "domain-not-movable",
      `disk ${target} is a volume of pool ${name} (${pool.type}), which has no directory at the destination. ` +
        `If both hosts share its storage, add --shared ${target}`,
    );
    return null;
  }
  return `${pool.path}/${volume}`;
}
