/**
 * The names of a file or device on its host, from the host's own facts. Pure.
 *
 * @module
 */
import type { BlockFacts, FileFacts } from "./host_facts.ts";

/** A name of storage. Two nodes with a key in common are the same storage. */
export interface StorageKey {
  /** The name, such as `inode 8:1 1234`. */
  readonly key: string;
  /** The host on which the name is valid; `null`: on every host. */
  readonly scope: string | null;
}

/** The names of a file or device, and those of the devices that it is a part of. */
export interface StorageKeys {
  /** Its own names. */
  readonly keys: readonly StorageKey[];
  /** Names of the devices that it is a part of. */
  readonly beneath: readonly StorageKey[];
}

/** File systems whose files have the same inode number on every host that mounts them. */
const SHARED = /^(nfs4?|cifs|smb3|ceph|fuse\.glusterfs|lustre|beegfs|gpfs)$/;

/**
 * World-wide names that are unique by construction. Names that software makes up (t10 of QEMU's own disks,
 * its NVMe) are the same on many hosts.
 */
const WORLD_WIDE = /^(naa|eui|uuid)\.[0-9a-f-]*[1-9a-f]|^nvme\.(?!1b36-)/i;

/** A multipath device and its paths are the same storage; other devices are only parts of one. */
const MULTIPATH = /^mpath-/;

/**
 * The names of a file or device.
 *
 * @param bootId of its host; empty where unknown, which leaves out the names that are valid on one host.
 */
export function fileKeys(file: FileFacts, bootId: string): StorageKeys {
  if (file.block) return blockKeys(file.block, bootId);
  const keys = local(`inode ${file.device} ${file.inode}`, bootId);
  const { mount } = file;
  if (mount && SHARED.test(mount.type)) {
    const type = mount.type.replace(/^nfs4$/, "nfs");
    keys.push({ key: `${type} ${mount.source} inode ${file.inode}`, scope: null });
  }
  return { keys, beneath: [] };
}

function blockKeys(block: BlockFacts, bootId: string): StorageKeys {
  const keys = local(`device ${block.number}`, bootId);
  const beneath: StorageKey[] = [];
  // A partition's device may name the whole disk.
  const names = block.partition ? [] : [
    ...block.wwids.filter((wwid) => WORLD_WIDE.test(wwid)).map((wwid) => `wwid ${wwid}`),
    ...block.dmUuid ? [`dm ${block.dmUuid}`] : [],
  ];
  keys.push(...names.map((key) => ({ key, scope: null })));
  if (block.loop?.file) {
    const file = fileKeys(block.loop.file, bootId);
    (block.loop.whole ? keys : beneath).push(...file.keys);
    beneath.push(...file.beneath);
  }
  const isMultipath = MULTIPATH.test(block.dmUuid ?? "");
  for (const below of block.below) {
    const found = blockKeys(below, bootId);
    (isMultipath ? keys : beneath).push(...found.keys);
    beneath.push(...found.beneath);
  }
  return { keys, beneath };
}

function local(key: string, bootId: string): StorageKey[] {
  return bootId === "" ? [] : [{ key, scope: bootId }];
}
