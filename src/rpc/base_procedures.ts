/**
 * The calls that compare the backing files of both ends, for a migration of the uppermost images alone
 * (docs/tunnel-protocol.md, section 8). Each goes from the source to the destination, before `prepare`, and
 * changes nothing. Since vmferry 1.1; an older end answers `unknown-procedure`. Sizes in bytes.
 *
 * @module
 */
import { flag, integer, list, nullable, object, text, type TypeOf } from "./schema.ts";
import { disk, message, name } from "./shapes.ts";

const disks = list(disk, 1024);

/** A backing file. */
const backingFile = object({
  /** Its file name without directories, or the last part of its URL; empty where unknown. */
  file: text(1024),
  /** Where it is, for people. */
  address: text(1024),
  /** Virtual size. */
  sizeBytes: integer(),
});

/** The calls, each with the shapes of its parameters and of its result. */
export const baseProcedures = {
  /** Asks for the backing files of the target disks. Disks without a counterpart are left out. */
  describeBases: {
    params: object({ disks }),
    result: object({
      disks: list(
        object({
          /** The source's name. */
          disk: name,
          /** From the upper to the lower one; empty if the disk has none. */
          chain: list(backingFile, 64),
          /** The uppermost image has data of its own; `null`: it could not be read. */
          hasData: nullable(flag),
          /** Why it could not be read. */
          why: nullable(message),
        }),
        1024,
      ),
    }),
  },
  /** Hashes a range of what a disk's guest would read from the backing files alone. */
  hashBase: {
    params: object({
      disks,
      /** The source's name of the disk. */
      disk: name,
      offset: integer(),
      length: integer(1),
    }),
    result: object({
      /** As src/migrate/storage/base_hash.ts computes it. */
      hash: text(64),
    }),
  },
} as const;

/** A backing file in the answer of `describeBases`. */
export type BackingFile = TypeOf<typeof backingFile>;
