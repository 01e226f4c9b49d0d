/**
 * How the disks of each side are read for a comparison. Pure.
 *
 * Both QEMUs have their disks open for a guest, and these nodes must not be touched. At the destination an
 * export would activate an inactive node: QEMU would take locks, qcow2 might write its header, and cached
 * data would be stale when the guest arrives. At the source, QEMU 7.2.22 of Debian and its guest end when
 * a client disconnects from an export of a disk with an iothread, as a killed vmferry does. So the storage
 * is opened a second time: read-only, without locks, and past the host's caches where possible.
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
   * Whether QEMU's own nodes of network storage may be exported; that storage is never opened twice. If
   * not, vmferry connects to an NBD server itself.
   */
  readonly ownNodes: boolean;
}

/** The nodes to read of a source's disk: the guest's view, and all storage below it. */
export function nodesOfSource(
  graph: BlockGraph,
  root: string,
  options: ReadableOptions,
): NodeToRead[] {
  return nodesOf(graph, root, { ...options, backing: true });
}

/**
 * The nodes to read of a destination's disk: the storage that a mirror would write to, and the guest's view
 * of it. Backing files are left out, because no mirror writes to them.
 */
export function nodesOfDestination(
  graph: BlockGraph,
  root: string,
  options: ReadableOptions,
): NodeToRead[] {
  return nodesOf(graph, root, { ...options, backing: false });
}

/** The node to read of a backing file: the guest's view of it, with all that is below. */
export function baseToRead(
  graph: BlockGraph,
  base: BlockNode,
  options: ReadableOptions,
): NodeToRead | undefined {
  return toRead(graph, base, { ...options, backing: true })[0];
}

/** The node to read of a disk's uppermost image alone; its extents say what it has by itself. */
export function topToRead(graph: BlockGraph, root: string): NodeToRead | undefined {
  const format = formatNode(graph, root);
  return format && toRead(graph, format, { ownNodes: false, backing: false })[0];
}

interface View extends ReadableOptions {
  readonly backing: boolean;
}

/** First past the host's caches, which not every file system allows, then through them. */
const WAYS = [{ cache: { direct: true } }, {}];

/**
 * Drivers of network storage, which need no care for locks and caches. A server may accept only one client:
 * a second connection could block QEMU.
 */
const SERVERS = ["nbd", "ssh", "http", "https", "ftp", "ftps"];

/** Drivers that open a file by its name. */
const FILES = ["file", "host_device", "host_cdrom"];

/** Formats that QEMU can open without their backing file. */
const BACKED = ["qcow2", "qed"];

function nodesOf(graph: BlockGraph, root: string, view: View): NodeToRead[] {
  const storage = chainOf(graph, root)
    .filter((node) => node.isStorage && (node.written || view.backing));
  const format = formatNode(graph, root);
  const roots: BlockNode[] = format && !isPlain(format) ? [format, ...storage] : storage;
  return roots.flatMap((node) => toRead(graph, node, view));
}

function toRead(graph: BlockGraph, node: BlockNode, view: View): NodeToRead[] {
  const open = WAYS.flatMap((way) => {
    const nodes: Options[] = [];
    const ref = reopen(graph, node, { ...view, way }, nodes);
    return ref === undefined || nodes.length === 0 ? [] : [nodes];
  });
  if (open.length > 0) return [{ open }];
  if (view.ownNodes) return SERVERS.includes(node.driver) ? [{ node: node.name }] : [];
  const server = addressOf(node)?.nbd;
  return server ? [{ server }] : [];
}

/**
 * Appends to `nodes` the options that open a node and all nodes below it once more.
 *
 * @returns the new node's name; `undefined` where the options are not known.
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
