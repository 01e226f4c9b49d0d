/**
 * QEMU's block nodes and their children, down to the storage.
 *
 * @module
 */
import type { QmpClient } from "./client.ts";
import type { RawGraph, RawNode } from "./answers.ts";
import { QmpCommandError } from "./errors.ts";

/** A node of QEMU's block layer. */
export interface BlockNode {
  /** Its node name. */
  readonly name: string;
  /** Its block driver, such as `qcow2`, `file`, `nbd`; empty if QEMU does not report it. */
  readonly driver: string;
  /** A path, a URL, or `json:` and the options that open it. */
  readonly filename: string;
  /** Opened read-only. */
  readonly readOnly: boolean;
  /** Bytes that it takes in its file system, without those of its backing file; missing where unknown. */
  readonly allocatedBytes?: number;
  /** Virtual size, bytes; missing where unknown. */
  readonly sizeBytes?: number;
  /** Names of the nodes below it, with their roles: `file`, `backing`, `data-file`, `image`. */
  readonly children: readonly { readonly role: string; readonly node: string }[];
}

/** The nodes by name. */
export type BlockGraph = ReadonlyMap<string, BlockNode>;

/**
 * All nodes of QEMU (`query-named-block-nodes`, `x-debug-query-block-graph`). Where QEMU refuses the
 * second command, no node has children.
 *
 * @throws as `QmpClient.execute`.
 */
export async function queryBlockGraph(client: QmpClient): Promise<BlockGraph> {
  const nodes = await client.execute("query-named-block-nodes", { flat: true });
  return joinGraph(nodes, await edgesOf(client));
}

/** Joins the answers of the two commands. Pure. */
export function joinGraph(nodes: readonly RawNode[], graph: RawGraph): BlockGraph {
  const nameOf = new Map(
    graph.nodes.filter((n) => n.type === "block-driver").map((n) => [n.id, n.name]),
  );
  return new Map(nodes.map((raw) => {
    const name = raw["node-name"];
    const children = graph.edges.filter((edge) => nameOf.get(edge.parent) === name)
      .flatMap((edge) => {
        const node = nameOf.get(edge.child);
        return node === undefined ? [] : [{ role: edge.name, node }];
      });
    const { drv: driver = "", file: filename = "", ro: readOnly = false } = raw;
    const allocated = raw.image?.["actual-size"];
    const virtual = raw.image?.["virtual-size"];
    const size = {
      ...(allocated === undefined ? {} : { allocatedBytes: allocated }),
      ...(virtual === undefined ? {} : { sizeBytes: virtual }),
    };
    return [name, { name, driver, filename, readOnly, children, ...size }];
  }));
}

/** Names of the nodes that were written to since they were opened (`query-blockstats`). */
export async function queryWrittenNodes(client: QmpClient): Promise<ReadonlySet<string>> {
  const all = await client.execute("query-blockstats", { "query-nodes": true });
  return new Set(
    all.filter(({ stats }) => (stats.wr_highest_offset ?? 0) > 0)
      .map((entry) => entry["node-name"] ?? ""),
  );
}

async function edgesOf(client: QmpClient): Promise<RawGraph> {
  try {
    return await client.execute("x-debug-query-block-graph", {});
  } catch (error) {
    if (error instanceof QmpCommandError) return { nodes: [], edges: [] };
    throw error;
  }
}
