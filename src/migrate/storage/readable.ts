/**
 * How the disks of each end are read for a comparison. Pure.
 *
 * @module
 */
import type { BlockGraph, BlockNode } from "../../qmp/mod.ts";
import { addressOf, jsonOf } from "./address.ts";
import { chainOf, formatNode, isPlain } from "./chain.ts";
import type { NodeToRead } from "./temporary_exports.ts";

type Options = Readonly<Record<string, unknown>>;

/**
 * A source's disk: what the guest sees, and every piece of storage below it. The guest runs: its own nodes are
 * read, whose caches are right.
 */
export function nodesOfSource(graph: BlockGraph, root: string): NodeToRead[] {
  const format = formatNode(graph, root);
  const storage = chainOf(graph, root).filter((node) => node.isStorage && addressOf(node));
  return [
    ...format && !isPlain(format) ? [{ node: root }] : [],
    ...storage.map(({ name }) => ({ node: name })),
  ];
}

/** Drivers without caches and locks: their nodes can be read without being another's in any way. */
const CACHELESS = ["nbd", "ssh", "http", "https", "ftp", "ftps"];

/** Drivers that open a file by its name. */
const FILES = ["file", "host_device", "host_cdrom"];

/**
 * A destination's disk: the storage that would be written to, and what a guest would see. QEMU has it open for a
 * guest that is to come, inactive, without locks. An export would make its node active: locks would be taken,
 * qcow2 might write to its header, and what was cached would stay when the guest comes. So it is opened a
 * second time, read-only, past the host's caches where that can be.
 */
export function nodesOfDestination(graph: BlockGraph, root: string): NodeToRead[] {
  const storage = chainOf(graph, root).filter((node) => node.isStorage && node.written);
  const found = storage.flatMap((node): NodeToRead[] => {
    const ways = waysToOpen(node);
    return CACHELESS.includes(node.driver)
      ? [{ node: node.name }]
      : ways.length > 0
      ? [{ open: ways.map((way) => [way]) }]
      : [];
  });
  const format = formatNode(graph, root);
  if (!format || isPlain(format)) return found;
  const guest = guestView(graph, format);
  return guest ? [...found, guest] : found;
}

/** What a guest would see of the image itself: a backing file is not written to, and left out. */
function guestView(graph: BlockGraph, format: BlockNode): NodeToRead | undefined {
  const below = ["file", "data-file"].flatMap((role) => {
    const name = format.children.find((child) => child.role === role)?.node;
    const node = name === undefined ? undefined : graph.get(name);
    return node ? [{ role, node }] : [];
  });
  if (below.length === 0 || below.some(({ node }) => node.children.length > 0)) return undefined;
  const json = jsonOf(format.filename);
  if (json && format.driver !== "raw") return undefined;
  const { offset, size } = json ?? {};
  const ways = [0, 1].flatMap((way) => {
    const nodes: Options[] = [];
    const children: Record<string, string> = {};
    for (const { role, node } of below) {
      if (CACHELESS.includes(node.driver)) {
        children[role] = node.name;
        continue;
      }
      const options = waysToOpen(node)[way];
      if (!options) return [];
      children[role] = `$${nodes.length}`;
      nodes.push(options);
    }
    return [[...nodes, {
      driver: format.driver,
      ...children,
      ...(format.driver === "qcow2" ? { backing: null } : {}),
      ...(offset === undefined ? {} : { offset }),
      ...(size === undefined ? {} : { size }),
    }]];
  });
  return ways.length > 0 ? { open: ways } : undefined;
}

/** Options that open a node's storage again, the best first; none where they are not known. */
function waysToOpen(node: BlockNode): Options[] {
  const { driver, filename } = node;
  const json = jsonOf(filename);
  if (FILES.includes(driver)) {
    const options = { driver, filename: addressOf(node)?.path ?? filename, locking: "off" };
    return [{ ...options, cache: { direct: true } }, options];
  }
  return json ? [{ ...json, driver }] : [];
}
