/**
 * The calls between the two ends: names, parameters, results. Sizes in bytes, times in ms.
 *
 * @module
 */
import {
  flag,
  integer,
  list,
  nullable,
  object,
  type Schema,
  text,
  type TypeOf,
  word,
} from "./schema.ts";
import { describePage } from "./inventory.ts";

const name = text(256);
const message = text(4096);

const migrationId = text(64);

const guest = object({
  uuid: nullable(text(64)),
  name: nullable(name),
  /** Machine type, such as `pc-q35-7.2`. */
  machine: text(128),
  vcpus: integer(1, 65536),
  ramBytes: integer(),
});

const disk = object({
  name,
  /** Virtual size, bytes. */
  sizeBytes: integer(),
  /** Image format at that end, such as `raw`; the two ends may differ. */
  format: text(64),
});

/** A name of a piece of storage. */
const storageKey = object({
  key: text(2048),
  /** The host that it is a name on; `null`: it means the same everywhere. */
  scope: nullable(text(256)),
});

/** A node of a disk's chain in an end's QEMU. */
const storageNode = object({
  node: name,
  /** QEMU's block driver, such as `qcow2`, `file`, `nbd`. */
  driver: text(64),
  /** A path or URL, for people; empty for a node that stands on others. */
  address: text(1024),
  /** A mirror to this disk writes to it, which it does not to a backing file. */
  written: flag,
  /** Two nodes with a key in common are the same storage. */
  keys: list(storageKey, 64),
  /** Keys of what it is a part of. */
  beneath: list(storageKey, 64),
});

/** Blocks of one node of the source. */
const blockSample = object({
  /** The source's disk. */
  disk: name,
  /** Bytes of each block. */
  blockBytes: integer(1, 65536),
  /** Where they begin in the node, bytes. */
  offsets: list(integer(), 256),
  /** The first 16 bytes of each one's SHA-256, in hexadecimal digits. */
  hashes: list(text(32), 256),
});

/** In the order of the disks that were asked for. */
const exports = list(object({ disk: name, exportName: text(1024) }), 1024);

/** Where a destination is, see migrate/handover/states.ts. */
export const destinationState = word(
  "waiting",
  "prepared",
  "loading",
  "loaded",
  "starting",
  "finished",
  "failed",
  "lost",
);

/** Every procedure with the shape of its parameters and of its result. */
export const procedures = {
  /**
   * Source to destination: what is coming. The destination checks its QEMU against it, and unless
   * `checkOnly`, starts its NBD server with one export a disk. Refuses with code `refused`.
   */
  prepare: {
    params: object({
      /** Names this migration on both sides; the source's choice, not to be guessed. */
      migration: migrationId,
      guest,
      disks: list(disk, 1024),
      checkOnly: flag,
      /** Disks that both ends share: they are not copied, and both ends have them. */
      shared: nullable(list(disk, 1024)),
    }),
    result: object({
      qemuVersion: text(128),
      /** Empty when only checked. */
      exports,
      warnings: list(message, 64),
      /**
       * Raw images in files for which zeroes matter: `allocated` from end to end, or thin where zeroes
       * would allocate (`fills`). `null` from an end that does not look.
       */
      images: nullable(
        list(object({ disk: name, sizeBytes: integer(), allocated: flag, fills: flag }), 1024),
      ),
      /** The command that looks after this migration at the destination; empty where unknown. */
      recover: message,
    }),
  },
  /**
   * Source to destination, before `prepare`: what is your machine? Changes nothing. Page 0 looks anew;
   * the further pages have the rest of the devices of that look. Since protocol 1.0 of vmferry 1.1; an
   * end that does not know it answers `unknown-procedure`.
   */
  describe: {
    params: object({ page: integer(0, 4095) }),
    result: describePage,
  },
  /**
   * Source to destination: which CPU features does your first vCPU have (x86)? Asked where the CPUID
   * words of `describe` differ, to call the features by their names.
   */
  cpuFeatures: {
    params: object({}),
    result: object({ features: list(text(128), 4096) }),
  },
  /**
   * Source to destination, before `prepare`: what is the storage of the disks that these go to? Nothing is
   * changed. Disks without a counterpart are left out; `prepare` says so. Refuses with code `refused`.
   */
  describeDisks: {
    params: object({ disks: list(disk, 1024) }),
    result: object({
      disks: list(
        object({
          /** The source's name. */
          disk: name,
          /** The destination's. */
          local: name,
          /** Something was copied to it since its QEMU has it open. */
          overwritten: flag,
          nodes: list(storageNode, 256),
        }),
        1024,
      ),
    }),
  },
  /**
   * Source to destination, before `prepare`: which of these blocks have the disks that these go to already?
   * They are read without changing anything. Refuses with code `refused`.
   */
  compareBlocks: {
    params: object({ disks: list(disk, 1024), samples: list(blockSample, 64) }),
    result: object({
      /** Where at least one block of a sample is the same; the best of what was read of a disk. */
      matches: list(
        object({
          /** Which sample, from 0. */
          sample: integer(0, 63),
          /** The disk that has them, by the source's name. */
          disk: name,
          /** Which blocks are the same, from 0. */
          equal: list(integer(0, 255), 256),
        }),
        4096,
      ),
      /** Disks that could not be read, by the source's names, and why. */
      notRead: list(object({ disk: name, why: message }), 1024),
    }),
  },
  /**
   * Source to destination, in a session that is not the one that prepared: this one is the
   * migration's from now on, the old one is ended. For a tool that was killed and started again, on
   * either side. Refuses with code `unknown-migration` where there is no such one.
   */
  attach: {
    params: object({ migration: migrationId }),
    result: object({ state: destinationState, exports }),
  },
  /** Either way: join the stream of this id to what is called `channel` at the other end. */
  openTunnel: {
    params: object({ stream: integer(1, 2 ** 32 - 1), channel: text(64) }),
    result: object({}),
  },
  /**
   * Source to destination, when every mirror has ended in step: the disks are yours, take the rest
   * of the memory. Answered when QEMU has loaded it all. The guest is not started by it.
   */
  load: {
    params: object({}),
    result: object({}),
  },
  /**
   * Source to destination, once `load` was answered and the source's QEMU has said `completed`: the
   * guest is yours. Answered when the guest runs there, or stands paused where `run` is false.
   * Asking again is harmless.
   */
  finish: {
    params: object({ run: flag }),
    result: object({ status: text(64) }),
  },
  /** Source to destination: nothing will come of it; undo everything. Never after `finish`. */
  abort: {
    params: object({
      reason: message,
      cancelled: flag,
      /** The first cause's, a word; an end that does not tell them gives its own reason. */
      code: nullable(text(64)),
      side: nullable(word("source", "destination")),
    }),
    /** What could not be undone, in words; an end before 1.1 does not tell. */
    result: object({ left: nullable(list(text(1024), 64)) }),
  },
  /**
   * Either way: how far are you with this migration, and what does your QEMU say of its guest? An
   * end that knows another one only answers `waiting`.
   */
  status: {
    params: object({ migration: migrationId }),
    result: object({
      state: destinationState,
      /** QEMU's own run state, such as `inmigrate` or `running`; `null` when it does not answer. */
      guest: nullable(text(64)),
    }),
  },
} as const satisfies Record<string, { params: Schema<unknown>; result: Schema<unknown> }>;

export type ProcedureName = keyof typeof procedures;
export type Params<P extends ProcedureName> = TypeOf<(typeof procedures)[P]["params"]>;
export type Result<P extends ProcedureName> = TypeOf<(typeof procedures)[P]["result"]>;
export type GuestDescription = TypeOf<typeof guest>;
export type StorageNode = TypeOf<typeof storageNode>;
export type BlockSample = TypeOf<typeof blockSample>;
export type DiskDescription = TypeOf<typeof disk>;
