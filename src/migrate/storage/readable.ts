/**
 * How the disks of each end are read for a comparison. Pure.
 *
 * Both QEMUs have their disks open for a guest, and nothing may be done to those nodes. At the destination an
 * export would make an inactive node active: locks would be taken, qcow2 might write to its header, and what
 * was cached would stay when the guest comes. At the source QEMU 7.2.22 as Debian has it ends, and the guest with
 * it, when a client leaves an export of a disk that has an iothread, as a vmferry that is killed does. So storage is
 * opened a second time, read-only, without locks, past the host's caches where that can be.
 *
 * @module
 */
import type { BlockGraph, BlockNode } from "../../qmp/mod.ts";
import { addressOf, jsonOf } from "./address.ts";
import { chainOf, formatNode, isFilter, isPlain } from "./chain.ts";
import type { NodeToRead } from "./temporary_exports.ts";

type Options = Readonly<Record<string, unknown>>;

/** How a disk is read. */
export interface ReadableOptions {
  /**
   * Whether QEMU's own nodes of servers may be exported; QEMU does not open those twice. Where they may not, an NBD
   * server is asked itself.
   */
  readonly ownNodes: boolean;
}

/** A source's disk: what the guest sees, and every piece of storage below it. */
export function nodesOfSource(
  graph: BlockGraph,
  root: string,
  options: ReadableOptions,
): NodeToRead[] {
  return nodesOf(graph, root, { ...options, backing: true });
}

/**
 * A destination's disk: the storage that would be written to, and what a guest would see of it. A backing file
 * is not written to, and left out.
 */
export function nodesOfDestination(
  graph: BlockGraph,
  root: string,
  options: ReadableOptions,
): NodeToRead[] {
  return nodesOf(graph, root, { ...options, backing: false });
}

interface View extends ReadableOptions {
  readonly backing: boolean;
}

/** Past the host's caches, which not every file system can, and through them. */
const WAYS = [{ cache: { direct: true } }, {}];

/**
 * Drivers that have neither locks nor caches to mind. A server may take one client alone: to wait for a second
 * connection would stop QEMU.
 */
const SERVERS = ["nbd", "ssh", "http", "https", "ftp", "ftps"];

/** Drivers that open a file by its name. */
const FILES = ["file", "host_device", "host_cdrom"];

/** Formats that a backing file can be left out of. */
const BACKED = ["qcow2", "qed"];

function nodesOf(graph: BlockGraph, root: string, view: View): NodeToRead[] {
  const storage = chainOf(graph, root)
    .filter((node) => node.isStorage && (node.written || view.backing));
  const format = formatNode(graph, root);
  const roots: BlockNode[] = format && !isPlain(format) ? [format, ...storage] : storage;
  return roots.flatMap((node): NodeToRead[] => {
    const open = WAYS.flatMap((way) => {
      const nodes: Options[] = [];
      const ref = reopen(graph, node, { ...view, way }, nodes);
      return ref === undefined || nodes.length === 0 ? [] : [nodes];
    });
    if (open.length > 0) return [{ open }];
    if (view.ownNodes) return SERVERS.includes(node.driver) ? [{ node: node.name }] : [];
    const server = addressOf(node)?.nbd;
    return server ? [{ server }] : [];
  });
}

/**
 * Adds what opens a node and all below it once more.
 *
 * @returns the name that it has then; `undefined` where that is not known.
 */
function reopen(
  graph: BlockGraph,
  node: BlockNode,
  view: View & { readonly way: Options },
  nodes: Options[],
): string | undefined {
  const child = (role: string) => {
    const name = node.children.find((c) => c.role === role)?.node;
    const below = name === undefined ? undefined : graph.get(name);
    return below && reopen(graph, below, view, nodes);
  };
  if (node.children.length === 0) {
    if (SERVERS.includes(node.driver)) return view.ownNodes ? node.name : undefined;
    const options = storageOptions(node, view.way);
    return options && add(nodes, options);
  }
  if (isFilter(node)) return child("file") ?? child("image");
  const json = jsonOf(node.filename);
  const file = child("file");
  const hasData = node.children.some((c) => c.role === "data-file");
  const data = child("data-file");
  if (file === undefined || (hasData && data === undefined)) return undefined;
  const { offset, size } = node.driver === "raw" ? json ?? {} : {};
  return add(nodes, {
    ...{ driver: node.driver, file },
    ...(data === undefined ? {} : { "data-file": data }),
    ...(BACKED.includes(node.driver)
      ? { backing: view.backing ? child("backing") ?? null : null }
      : {}),
    ...(offset === undefined ? {} : { offset }),
    ...(size === undefined ? {} : { size }),
  });
}

function add(nodes: Options[], options: Options): string {
  nodes.push(options);
  return `$${nodes.length - 1}`;
}

/** Options that open storage again; `undefined` where they are not known. */
function storageOptions(node: BlockNode, way: Options): Options | undefined {
  const { driver, filename } = node;
  if (FILES.includes(driver)) {
    return { driver, filename: addressOf(node)?.path ?? filename, locking: "off", ...way };
  }
  const json = jsonOf(filename);
  return json && { ...json, driver, ...way };
}
