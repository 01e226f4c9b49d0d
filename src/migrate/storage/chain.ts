/**
 * A disk's nodes, from what the guest sees down to the storage. Pure.
 *
 * @module
 */
import type { BlockGraph, BlockNode } from "../../qmp/mod.ts";

/** A node of a disk's chain. */
export interface ChainNode extends BlockNode {
  /** A mirror to the disk writes to it: it stands on no backing file's side. */
  readonly written: boolean;
  /** It stands on no other node: its bytes are storage's. */
  readonly isStorage: boolean;
}

/** Drivers that hand everything on to the node that they stand on. */
const FILTERS = ["throttle", "copy-on-read", "compress", "preallocate", "blkdebug"];

/** It hands everything on to the node that it stands on. */
export function isFilter({ driver }: BlockNode): boolean {
  return FILTERS.includes(driver);
}

/** All nodes below `root` and itself, each once, the guest's end first. */
export function chainOf(graph: BlockGraph, root: string): ChainNode[] {
  const found = new Map<string, ChainNode>();
  const visit = (name: string, written: boolean) => {
    const node = graph.get(name);
    const known = found.get(name);
    if (!node || (known && (known.written || !written))) return;
    found.set(name, { ...node, written, isStorage: node.children.length === 0 });
    for (const { role, node: child } of node.children) visit(child, written && role !== "backing");
  };
  visit(root, true);
  return [...found.values()];
}

/** The node with the image's format: `root`, or what stands below the filters on it. */
export function formatNode(graph: BlockGraph, root: string): BlockNode | undefined {
  let node = graph.get(root);
  for (let depth = 0; node && isFilter(node) && depth < 64; depth++) {
    const below = node.children.find(({ role }) => role === "file" || role === "image");
    if (!below) break;
    node = graph.get(below.node);
  }
  return node;
}

/** Whether the guest sees the storage byte by byte: a raw image without an offset of its own. */
export function isPlain(node: BlockNode): boolean {
  return node.children.length === 0 ||
    (node.driver === "raw" && !node.filename.startsWith("json:"));
}
