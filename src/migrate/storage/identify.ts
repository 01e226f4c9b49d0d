import { type BlockGraph, type QmpClient, queryBlockGraph } from "../../qmp/mod.ts";
import type { StorageNode } from "../../rpc/mod.ts";
import { addressOf, type StorageAddress } from "./address.ts";
import { type ChainNode, chainOf } from "./chain.ts";
import { fileKeys, type StorageKeys } from "./file_keys.ts";
import { qemuProcess } from "../qemu_process.ts";
import type { DescribeHost, HostFacts } from "./host_facts.ts";

/** A disk's root node, and the names of its storage. */
export interface DiskStorage {
  readonly root: string;
  readonly nodes: readonly StorageNode[];
}

/** Most keys of a node that cross to the peer; a node on a multipath device has a few. */
const MAX_KEYS = 64;
/** Most nodes of a disk; QEMU itself fails with a much shorter chain. */
const MAX_NODES = 256;

/**
 * Names the storage of each disk.
 *
 * @param roots names of the disks' root nodes.
 * @returns the disks in the order of `roots`.
 * @throws {QmpError | QmpCommandError} when QEMU does not answer.
 */
export async function identifyDisks(
  qmp: QmpClient,
  roots: readonly string[],
  describeHost: DescribeHost,
): Promise<{ readonly graph: BlockGraph; readonly disks: DiskStorage[] }> {
  const graph = await queryBlockGraph(qmp);
  const chains = roots.map((root) => chainOf(graph, root));
  const storage = chains.flat().filter((node) => node.isStorage);
  const found = new Map(storage.map((node) => [node.name, addressOf(node)]));
  const addresses = await findableFromHere(qmp, found);
  const paths = [...new Set([...addresses.values()].flatMap((a) => a?.path ?? []))]
    .filter((path) => path.startsWith("/") && !path.startsWith("/dev/fd"));
  const host = await describeHost(paths);
  const disks = chains.map((chain, i) => ({
    root: roots[i]!,
    nodes: chain.slice(0, MAX_NODES).map((node) => {
      return describeNode(node, addresses.get(node.name), paths, host);
    }),
  }));
  return { graph, disks };
}

/**
 * Resolves relative paths against the working directory of QEMU's process (/proc/PID/cwd). If vmferry may
 * not read it, or QEMU has changed it (`-daemonize`), no file is found and the disks' data decides.
 */
async function findableFromHere(
  qmp: QmpClient,
  addresses: ReadonlyMap<string, StorageAddress | undefined>,
): Promise<ReadonlyMap<string, StorageAddress | undefined>> {
  const isRelative = (path: string | undefined) => path !== undefined && !path.startsWith("/");
  if (![...addresses.values()].some((address) => isRelative(address?.path))) return addresses;
  const process = await qemuProcess(qmp);
  if (process === null) return addresses;
  return new Map([...addresses].map(([name, address]) => {
    if (!address || !isRelative(address.path)) return [name, address];
    return [name, { ...address, path: `/proc/${process}/cwd/${address.path}` }];
  }));
}

function describeNode(
  node: ChainNode,
  address: StorageAddress | undefined,
  paths: readonly string[],
  host: HostFacts,
): StorageNode {
  const { keys, beneath } = address ? keysOf(address, paths, host) : { keys: [], beneath: [] };
  return {
    node: node.name,
    driver: node.driver,
    address: (address?.text ?? "").slice(0, 1024),
    written: node.written,
    keys: keys.slice(0, MAX_KEYS),
    beneath: beneath.slice(0, MAX_KEYS),
  };
}

/** The names of storage, from its address and the host's facts. Pure. */
export function keysOf(
  address: StorageAddress,
  paths: readonly string[],
  host: HostFacts,
): StorageKeys {
  const file = address.path === undefined ? undefined : host.files[paths.indexOf(address.path)];
  const found = file ? fileKeys(file, host.bootId) : { keys: [], beneath: [] };
  const { behind } = address;
  const keys = behind === undefined
    ? [...found.keys]
    : found.keys.map(({ key, scope }) => ({ key: `${behind} at ${key}`, scope }));
  for (const { key, server } of address.network) {
    const own = isLoopback(server) || host.addresses.includes(server);
    // An address of this host may belong to another host elsewhere, so it is no name there.
    if (!own) keys.push({ key, scope: null });
    else if (host.bootId !== "") {
      keys.push({
        key: key.replace(LOOPBACK, "//localhost"),
        scope: `${host.bootId} ${host.network}`,
      });
    }
  }
  return { keys, beneath: found.beneath };
}

const LOOPBACK = /\/\/(localhost|127\.[\d.]+|\[::1\])/;

function isLoopback(server: string): boolean {
  return server === "localhost" || server === "::1" || /^127\./.test(server);
}
