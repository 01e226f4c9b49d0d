/**
 * The calls between the two ends (docs/tunnel-protocol.md, section 8): names, parameters, results.
 * Sizes in bytes, times in ms.
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
import { baseProcedures } from "./base_procedures.ts";
import { copyProcedures } from "./copy_procedures.ts";
import { deltaProcedures } from "./delta_procedures.ts";
import { domainProcedures } from "./domain_procedures.ts";
import { introduceProcedures } from "./introduce_procedures.ts";
import { launchProcedures } from "./launch_procedures.ts";
import { describePage } from "./inventory.ts";
import {
  blockSample,
  disk,
  message,
  migrationId,
  multifd,
  name,
  postcopy,
  storageNode,
} from "./shapes.ts";

const guest = object({
  uuid: nullable(text(64)),
  name: nullable(name),
  /** Machine type, such as `pc-q35-7.2`. */
  machine: text(128),
  vcpus: integer(1, 65536),
  ramBytes: integer(),
});

/** In the order of the requested disks. */
const exports = list(object({ disk: name, exportName: text(1024) }), 1024);

/** Where the destination's side is; also what its journal and its answer to `status` say. */
export type DestinationState =
  /** No source has come. */
  | "waiting"
  /** The disks are exported. */
  | "prepared"
  /** The guest is paused at the source, its last bytes are loaded here. */
  | "loading"
  /** QEMU has loaded the whole guest, which is paused. */
  | "loaded"
  /** `finish` came: QEMU may have received `cont`. */
  | "starting"
  /** The guest runs here, and a part of its RAM is still at the source (post-copy). */
  | "postcopy"
  /** The guest runs here, or is paused if it was before. */
  | "finished"
  /** The migration failed: the guest has not run here and never will. */
  | "failed"
  /** QEMU ended while it started the guest, or has not said that it runs: nobody knows. */
  | "lost";

/** Checks a {@link DestinationState}. */
export const destinationState: Schema<DestinationState> = word(
  "waiting",
  "prepared",
  "loading",
  "loaded",
  "starting",
  "postcopy",
  "finished",
  "failed",
  "lost",
);

/** Every procedure with the shape of its parameters and of its result. */
export const procedures = {
  /**
   * Source to destination: announces a migration. The destination checks its QEMU against it and,
   * unless `checkOnly`, starts its NBD server with an export for each disk. Refuses with code
   * `refused`.
   */
  prepare: {
    params: object({
      /** Names this migration on both sides; the source's choice, unpredictable. */
      migration: migrationId,
      guest,
      disks: list(disk, 1024),
      checkOnly: flag,
      /** Disks that both ends share: they are not copied, and both ends have them. */
      shared: nullable(list(disk, 1024)),
      /** Names of the disks that the source's QEMU encrypts; `null` from an older source. Since vmferry 1.1. */
      encrypted: nullable(list(name, 1024)),
      /** `null`: RAM crosses in one stream, as always with an older source. */
      multifd: nullable(object(multifd)),
      /** RAM may cross by post-copy, for which both QEMUs are set up. Since vmferry 1.1. */
      postcopy: nullable(object(postcopy)),
    }),
    result: object({
      qemuVersion: text(128),
      /** Empty when only checked. */
      exports,
      warnings: list(message, 64),
      /**
       * Raw image files for which zeroes matter: `allocated` as a whole, or thin where zeroes would
       * allocate (`fills`). `null` from an end that does not check.
       */
      images: nullable(
        list(object({ disk: name, sizeBytes: integer(), allocated: flag, fills: flag }), 1024),
      ),
      /** The command that recovers this migration at the destination; empty if unknown. */
      recover: message,
      /**
       * What the destination's QEMU is set to, or would be. `null` where nobody asked for it, and from an older
       * end, which would take one stream. `zeroPages`: its QEMU knows zero pages in each of the streams.
       */
      multifd: nullable(object({ ...multifd, zeroPages: flag })),
      /** What QEMU is set up for, or could be; `null` where nobody asked for it, and from an older end. */
      postcopy: nullable(object(postcopy)),
      /** This end answers `hashBlocks`; `null` from an older one. */
      hashes: nullable(flag),
    }),
  },
  /**
   * Source to destination: asks whether the destination's owner is done with what comes before this step:
   * QEMU is being started before `prepare`, its first call of all; a hook runs before `switchover`, asked for
   * when every mirror is ready and RAM has not begun to cross. Answered within ten seconds; `ready` false: ask
   * again. Since vmferry 1.1; an older end answers `unknown-procedure`, and has nothing to wait for.
   */
  ready: {
    params: object({ step: word("prepare", "switchover") }),
    result: object({ ready: flag }),
  },
  /**
   * Source to destination, before `prepare`: asks for the destination's machine. Changes nothing. Page 0
   * takes a new inventory; the following pages have the rest of its devices. Since vmferry 1.1; an older
   * end answers `unknown-procedure`.
   */
  describe: {
    params: object({ page: integer(0, 4095) }),
    result: describePage,
  },
  /**
   * Source to destination: asks for the CPU features of the first vCPU (x86), by name. Used where the
   * CPUID words of `describe` differ.
   */
  cpuFeatures: {
    params: object({}),
    result: object({ features: list(text(128), 4096) }),
  },
  /**
   * Source to destination, before `prepare`: asks for the storage of the target disks. Changes nothing.
   * Disks without a counterpart are left out; `prepare` reports them. Refuses with code `refused`.
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
          /** It was written to since its QEMU has opened it. */
          overwritten: flag,
          nodes: list(storageNode, 256),
        }),
        1024,
      ),
    }),
  },
  /**
   * Source to destination, before `prepare`: asks which of these blocks the target disks already have.
   * Reads them and changes nothing. Refuses with code `refused`.
   */
  compareBlocks: {
    params: object({ disks: list(disk, 1024), samples: list(blockSample, 64) }),
    result: object({
      /** Samples with at least one equal block; the best match of each disk. */
      matches: list(
        object({
          /** Index of the sample. */
          sample: integer(0, 63),
          /** The disk that has them, by the source's name. */
          disk: name,
          /** Indexes of the equal blocks. */
          equal: list(integer(0, 255), 256),
        }),
        4096,
      ),
      /** Disks that could not be read, by the source's names, and why. */
      notRead: list(object({ disk: name, why: message }), 1024),
    }),
  },
  /**
   * Source to destination, in another session than `prepare`: makes this session the migration's and
   * ends the old one. For a tool that was killed and started again, on either side. Refuses with code
   * `unknown-migration`.
   */
  attach: {
    params: object({ migration: migrationId }),
    result: object({ state: destinationState, exports }),
  },
  /** Either way: joins the stream with this id to a channel of the other end. */
  openTunnel: {
    params: object({
      stream: integer(1, 2 ** 32 - 1),
      channel: text(64),
      /** Number of the lane that the stream is on; `null`: the first. */
      lane: nullable(integer(1, 255)),
    }),
    result: object({}),
  },
  /**
   * Source to destination, when every mirror is complete: hands over the disks and asks the destination
   * to load the rest of RAM. Answered when QEMU has loaded everything. Does not start the guest.
   */
  load: {
    params: object({}),
    result: object({}),
  },
  /**
   * Source to destination, once `load` was answered and the source's QEMU is `completed`: hands over the
   * guest. Answered when the guest runs at the destination, or is paused there if `run` is false. May
   * be called again.
   */
  finish: {
    params: object({ run: flag }),
    result: object({ status: text(64) }),
  },
  /**
   * Source to destination, in state `postcopy`: the connection of RAM was lost, and QEMU is to wait for it
   * again (`migrate-recover`). Answered when it does; then the source opens channel `ram` again. Since vmferry
   * 1.1.
   */
  recover: {
    params: object({}),
    /** `whole`: QEMU has all of RAM; only its last word on that was lost. */
    result: object({ whole: flag }),
  },
  /** Source to destination, in state `postcopy`: the source's QEMU has ended. Answered when its last bytes are there. */
  ramLost: {
    params: object({}),
    /** `whole`: QEMU has all of RAM. Otherwise the destination gives up. */
    result: object({ whole: flag }),
  },
  /** Source to destination: gives the migration up; undo everything. Never after `finish`. */
  abort: {
    params: object({
      reason: message,
      cancelled: flag,
      /** Code of the first cause; `null` from an end that sends none. */
      code: nullable(text(64)),
      side: nullable(word("source", "destination")),
    }),
    /** What could not be undone, for people; `null` from an end before 1.1. */
    result: object({ left: nullable(list(text(1024), 64)) }),
  },
  /**
   * Either way: asks for the state of a migration and of the other QEMU's guest. An end that knows only
   * another migration answers `waiting`.
   */
  status: {
    params: object({ migration: migrationId }),
    result: object({
      state: destinationState,
      /** QEMU's own run state, such as `inmigrate` or `running`; `null` when it does not answer. */
      guest: nullable(text(64)),
    }),
  },
  ...baseProcedures,
  ...copyProcedures,
  ...deltaProcedures,
  ...domainProcedures,
  ...introduceProcedures,
  ...launchProcedures,
} as const satisfies Record<string, { params: Schema<unknown>; result: Schema<unknown> }>;

/** A call that the other end may make. */
export type ProcedureName = keyof typeof procedures;
/** The parameters of a call. */
export type Params<P extends ProcedureName> = TypeOf<(typeof procedures)[P]["params"]>;
/** The result of a call. */
export type Result<P extends ProcedureName> = TypeOf<(typeof procedures)[P]["result"]>;
/** The guest in `prepare`. */
export type GuestDescription = TypeOf<typeof guest>;
/** A node in the answer of `describeDisks`. */
export type StorageNode = TypeOf<typeof storageNode>;
/** A sample in `compareBlocks`. */
export type BlockSample = TypeOf<typeof blockSample>;
/** A disk in `prepare`. */
export type DiskDescription = TypeOf<typeof disk>;
