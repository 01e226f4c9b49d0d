/**
 * A medium's nodes, from what the device uses down to the storage. Pure.
 *
 * @module
 */
import type { BlockGraph, BlockNode } from "../../qmp/mod.ts";

/** Nodes that only pass requests on. */
const FILTERS: ReadonlySet<string> = new Set([
  ...["throttle", "copy-on-read", "mirror_top", "commit_top", "backup-top", "copy-before-write"],
  ...["preallocate", "compress", "blkdebug", "snapshot-access"],
]);
/** Drivers of a file or device of this host. */
export const LOCAL: ReadonlySet<string> = new Set(["file", "host_device", "host_cdrom"]);

/** A medium. */
export interface BlockChain {
  /** The node with the image format; that of the storage where there is none. */
  readonly image: BlockNode;
  /** The node of the storage. */
  readonly storage: BlockNode;
  /** The storage is a file or device of this host. */
  readonly local: boolean;
  /** Filters above the image, such as `throttle`. */
  readonly filters: readonly string[];
}

/** Follows the nodes below `name`; `undefined` without such a node. */
export function chainOf(graph: BlockGraph, name: string): BlockChain | undefined {
  let image = graph.get(name);
  const filters: string[] = [];
  while (image && FILTERS.has(image.driver)) {
    filters.push(image.driver);
    image = below(graph, image);
  }
  if (!image) return undefined;
  let storage = image;
  for (let next = below(graph, storage); next; next = below(graph, storage)) {
    storage = next;
    // A graph of QEMU has no circles, but it is another program's word.
    if (storage === image) break;
  }
  return { image, storage, local: LOCAL.has(storage.driver), filters };
}

function below(graph: BlockGraph, node: BlockNode): BlockNode | undefined {
  const roles = FILTERS.has(node.driver) ? ["file", "image", "backing"] : ["file", "image"];
  for (const role of roles) {
    const child = node.children.find((c) => c.role === role);
    if (child) return graph.get(child.node);
  }
  return undefined;
}

/** The chain of the image below, if it is open. */
export function backingOf(graph: BlockGraph, { image }: BlockChain): BlockChain | undefined {
  const child = FILTERS.has(image.driver)
    ? undefined
    : image.children.find(({ role }) => role === "backing");
  return child && chainOf(graph, child.node);
}

/**
 * Bytes that an image and all images below it take in their file systems; `null` where QEMU does not
 * report that of the uppermost one.
 */
export function allocatedIn(graph: BlockGraph, chain: BlockChain): number | null {
  const first = chain.image.allocatedBytes;
  if (first === undefined) return null;
  let bytes = first;
  const seen = new Set([chain.image]);
  for (let at = backingOf(graph, chain); at && !seen.has(at.image); at = backingOf(graph, at)) {
    seen.add(at.image);
    bytes += at.image.allocatedBytes ?? 0;
  }
  return bytes;
}

/** Names of all nodes that are reached from `roots`. */
export function reachedFrom(graph: BlockGraph, roots: readonly string[]): Set<string> {
  const reached = new Set<string>();
  const visit = (name: string) => {
    if (reached.has(name)) return;
    reached.add(name);
    for (const { node } of graph.get(name)?.children ?? []) visit(node);
  };
  for (const root of roots) visit(root);
  return reached;
}

/** The format of an image as QEMU's tools name it. */
export function formatOf({ image }: BlockChain): string {
  return LOCAL.has(image.driver) ? "raw" : image.driver;
}

/** A path from QEMU's working directory. */
export function absolute(cwd: string, path: string): string {
  const plain = path.replace(/^file:/, "");
  return plain.startsWith("/")
    ? plain
    : `${cwd === "/" ? "" : cwd}/${plain.replace(/^(\.\/)+/, "")}`;
}
