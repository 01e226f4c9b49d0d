/**
 * Whether storage of one end is storage of the other, by what it is called. Pure.
 *
 * @module
 */
import type { StorageNode } from "../../rpc/mod.ts";
import type { StorageKey } from "./file_keys.ts";

/** A disk of an end with its chain. */
export interface NamedChain {
  readonly name: string;
  readonly nodes: readonly StorageNode[];
}

/** A node of the source's that a destination's disk would overwrite. */
export interface Same {
  /** The source's disk. */
  readonly source: string;
  readonly sourceNode: StorageNode;
  /** The destination's disk, by the source's name for it. */
  readonly destination: string;
  readonly destinationNode: StorageNode;
}

/**
 * Finds every destination's disk that stands on storage of the source: on any node of any of its disks. The
 * destination's backing files are left out: nothing is written there. One for each pair of disks.
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

/** Two nodes are the same storage, or one is a part of the other. */
export function isSame(a: StorageNode, b: StorageNode): boolean {
  return haveCommon(a.keys, b.keys) || haveCommon(a.keys, b.beneath) ||
    haveCommon(a.beneath, b.keys);
}

function haveCommon(a: readonly StorageKey[], b: readonly StorageKey[]): boolean {
  return a.some((x) => b.some((y) => x.key === y.key && meet(x.scope, y.scope)));
}

/** A name that is one on a host counts there; an end to which it is no own address may mean that host. */
function meet(a: string | null, b: string | null): boolean {
  return a === null || b === null || a === b;
}

/** The finding in words: what it is, what was expected, what to do. */
export function wordsOf({ source, sourceNode, destination, destinationNode }: Same): string {
  const at = ({ node, driver, address }: StorageNode) => `node ${node}, ${address || driver}`;
  return `disk ${destination} (${at(destinationNode)}) is storage of the source's disk ${source} ` +
    `(${
      at(sourceNode)
    }). Copying would destroy the disk that the guest runs from. Give the destination ` +
    `another disk, or add --shared ${destination} where both ends use one storage`;
}
