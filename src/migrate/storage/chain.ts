/**
 * A disk's block nodes, from the node that the guest sees down to the storage. Pure.
 *
 * @module
 */
import { type BlockGraph, type BlockNode, FILTERS } from "../../qmp/mod.ts";

/** A node of a disk's chain. */
export interface ChainNode extends BlockNode {
  /** A mirror to the disk writes to this node: it is not below a backing file. */
  readonly written: boolean;
  /** It has no node below it: it is storage. */
  readonly isStorage: boolean;
}

/** Whether a node passes all requests to the node below. */
export function isFilter({ driver }: BlockNode): boolean {
  return FILTERS.includes(driver);
}

/** The node `root` and all nodes below it, each once, from the top down. */
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

/** The node of the image's format: `root`, or the first node below the filters at the top. */
export function formatNode(graph: BlockGraph, root: string): BlockNode | undefined {
  let node = graph.get(root);
  for (let depth = 0; node && isFilter(node) && depth < 64; depth++) {
    const below = node.children.find(({ role }) => role === "file" || role === "image");
    if (!below) break;
    node = graph.get(below.node);
  }
  return node;
}

/** Whether a node maps its storage byte by byte: a raw image without an offset. */
export function isPlain(node: BlockNode): boolean {
  return node.children.length === 0 ||
    (node.driver === "raw" && !node.filename.startsWith("json:"));
}
