/**
 * Shapes that several calls have in common. Sizes in bytes.
 *
 * @module
 */
import { flag, integer, list, nullable, object, text } from "./schema.ts";

/** The name of a disk, guest, node or image. */
export const name = text(256);
/** Text for people. */
export const message = text(4096);
/** Names a migration on both sides; the source's choice, unpredictable. */
export const migrationId = text(64);

/** A disk, as the source announces it. */
export const disk = object({
  name,
  /** Virtual size, bytes. */
  sizeBytes: integer(),
  /** Image format at that end, such as `raw`; the two ends may differ. */
  format: text(64),
});

/** A name of a piece of storage. */
export const storageKey = object({
  key: text(2048),
  /** The host on which it is a name; `null`: it means the same everywhere. */
  scope: nullable(text(256)),
});

/** A node of a disk's chain in an end's QEMU. */
export const storageNode = object({
  node: name,
  /** QEMU's block driver, such as `qcow2`, `file`, `nbd`. */
  driver: text(64),
  /** A path or URL, for people; empty for a node above others. */
  address: text(1024),
  /** A mirror to this disk writes to it; false for a backing file. */
  written: flag,
  /** Two nodes with a key in common are the same storage. */
  keys: list(storageKey, 64),
  /** Keys of the storage that it is a part of. */
  beneath: list(storageKey, 64),
});

/** Blocks of one node of the source. */
export const blockSample = object({
  /** The source's disk. */
  disk: name,
  /** Bytes of each block. */
  blockBytes: integer(1, 65536),
  /** Where they begin in the node, bytes. */
  offsets: list(integer(), 256),
  /** The first 16 bytes of each one's SHA-256, in hexadecimal digits. */
  hashes: list(text(32), 256),
});

/** RAM in several streams of the channel `ram`: QEMU's multifd. */
export const multifd = {
  /** Streams beside the main one. */
  channels: integer(2, 16),
  /** QEMU's `multifd-compression`, such as `zstd`. */
  compression: text(16),
};

/** The guest runs at the destination before all of its RAM is there: QEMU's post-copy. */
export const postcopy = {
  /** Urgent pages cross in a second stream of the channel `ram` (`postcopy-preempt`). */
  preempt: flag,
};
