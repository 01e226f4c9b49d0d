/**
 * Whether both sides use the same storage, from its names. Pure.
 *
 * @module
 */
import type { StorageNode } from "../../rpc/mod.ts";
import type { StorageKey } from "./file_keys.ts";

/** A disk and its chain of nodes. */
export interface NamedChain {
  readonly name: string;
  readonly nodes: readonly StorageNode[];
}

/** A node of the source that a copy to a destination's disk would overwrite. */
export interface Same {
  /** The source's disk. */
  readonly source: string;
  readonly sourceNode: StorageNode;
  /** The destination's disk, by the source's name for it. */
  readonly destination: string;
  readonly destinationNode: StorageNode;
}

/**
 * Finds each destination's disk that is on storage of the source, on any node of any of its disks. The
 * destination's backing files are left out: no mirror writes to them.
 *
 * @returns at most one finding for each pair of disks.
 */
export function findSame(
  source: readonly NamedChain[],
  destination: readonly NamedChain[],
): Same[] {
  const found: Same[] = [];
  for (const there of destination) {
    for (const here of source) {
      const pair = here.nodes.flatMap((sourceNode) =>
        there.nodes.filter((node) =>
          node.written && isSame(sourceNode, node)
        )
          .map((destinationNode) => ({ sourceNode, destinationNode }))
      )[0];
      if (pair) found.push({ source: here.name, destination: there.name, ...pair });
    }
  }
  return found;
}

/**
 * Whether two nodes are the same storage, or one is a part of the other.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { isSame } from "./same.ts";
 *
 * const disk = { node: "d", driver: "host_device", address: "/dev/sdb", written: true };
 * const key = { key: "wwid naa.6001405123", scope: null };
 * const volume = { ...disk, node: "v", address: "/dev/vg/lv", keys: [], beneath: [key] };
 * assert(isSame({ ...disk, keys: [key], beneath: [] }, volume));
 * ```
 */
export function isSame(a: StorageNode, b: StorageNode): boolean {
  return haveCommon(a.keys, b.keys) || haveCommon(a.keys, b.beneath) ||
    haveCommon(a.beneath, b.keys);
}

function haveCommon(a: readonly StorageKey[], b: readonly StorageKey[]): boolean {
  return a.some((x) => b.some((y) => x.key === y.key && meet(x.scope, y.scope)));
}

/** A name of one host matches on that host, and a name without a host may mean any. */
function meet(a: string | null, b: string | null): boolean {
  return a === null || b === null || a === b;
}

/** Two of the destination's disks that share storage; at least one is written to. */
export interface Double {
  /** Both disks, by the source's names for them. */
  readonly disks: readonly [string, string];
  /** The node of each. */
  readonly nodes: readonly [StorageNode, StorageNode];
}

/**
 * Finds each pair of the destination's disks of which one copy would overwrite the other, or a backing file
 * of it. QEMU refuses that by its locks, but not before the guest runs: disks that wait for a migration are
 * inactive and have none. Two disks on one node are left out: QEMU runs them only with share-rw=on, such as
 * two parts of a raw image.
 *
 * @returns at most one finding for each pair.
 */
export function findDoubles(destination: readonly NamedChain[]): Double[] {
  return destination.flatMap((one, i) =>
    destination.slice(i + 1).flatMap((other): Double[] => {
      const pair = one.nodes.flatMap((a) =>
        other.nodes.filter((b) => a.node !== b.node && (a.written || b.written) && isSame(a, b))
          .map((b) =>
            [a, b] as const
          )
      )[0];
      return pair ? [{ disks: [one.name, other.name], nodes: pair }] : [];
    })
  );
}

/** The message for two disks on the same storage. */
export function doubleWords({ disks: [one, other], nodes: [a, b] }: Double): string {
  return `disks ${one} (${at(a)}) and ${other} (${
    at(b)
  }) of the destination are on the same storage. ` +
    "The copy of one would destroy the other. Give each disk storage of its own";
}

function at({ node, driver, address }: StorageNode): string {
  return `node ${node}, ${address || driver}`;
}

/** The message for a finding. */
export function wordsOf({ source, sourceNode, destination, destinationNode }: Same): string {
  return `disk ${destination} (${at(destinationNode)}) is storage of the source's disk ${source} ` +
    `(${
      at(sourceNode)
    }). Copying would destroy the disk that the guest runs from. Give the destination ` +
    `another disk; if both hosts share the storage, add --shared ${destination}`;
}
