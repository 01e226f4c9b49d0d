/**
 * The calls of `vmferry copy` (docs/tunnel-protocol.md, section 8). The destination offers them with
 * `receive --copy` only, each from the source to the destination. Since vmferry 1.1. Sizes in bytes.
 *
 * @module
 */
import { flag, integer, list, nullable, object, type Schema, text, type TypeOf } from "./schema.ts";
import { message, migrationId } from "./shapes.ts";

const path = text(4096);
/** Most images in a copy. */
const MAX_IMAGES = 256;
/** Name of the channel by which an image is written. */
const channel = text(64);

/** An image that is to be written at the destination. */
const copyImage = object({
  channel,
  path,
  /** `raw` or `qcow2`. */
  format: text(64),
  /** Virtual size. */
  sizeBytes: integer(),
  /** qcow2 only; `null`: the default of this end's tools. */
  clusterBytes: nullable(integer(512, 1 << 21)),
  compat: nullable(text(16)),
  extendedL2: flag,
  lazyRefcounts: flag,
  /** Permission bits of the source's file. */
  mode: integer(0, 0o777),
  /** Owner and group of the source's file, by name; they count where the destination knows them. */
  owner: nullable(object({ user: text(256), group: text(256) })),
  /** Bytes that have to cross, about as many as the new image takes. */
  dataBytes: integer(),
  /** Names the source's image and its last change; empty where that is not known. */
  identity: text(128),
  /** What is at `path` may be replaced. */
  reuse: flag,
  /** With `reuse`: what is at `path` is the base, and the source asks for hashes of it. An older end takes no notice. */
  delta: nullable(flag),
});

/** The calls. */
export const copyProcedures = {
  /**
   * Creates the images under temporary names and serves each on its channel by NBD, as the export with the
   * empty name. With problems in the answer nothing was created or changed.
   */
  prepareCopy: {
    params: object({
      copy: migrationId,
      images: list(copyImage, MAX_IMAGES),
      /** Continue with what an earlier copy has left. */
      resume: flag,
    }),
    result: object({
      /** In the order of the request; empty with problems. */
      images: list(
        object({
          /** So many bytes from the start have arrived before. */
          doneBytes: integer(),
          /** From there on it has zeroes where the source does. */
          zeroed: flag,
          /** It has the contents of an older image: its hashes are worth asking for. */
          hasBase: nullable(flag),
        }),
        MAX_IMAGES,
      ),
      problems: list(object({ code: text(64), message }), 1024),
      warnings: list(message, 1024),
    }),
  },
  /** Notes that everything before `doneBytes` is on stable storage, for a later copy that continues there. */
  noteCopy: {
    params: object({ copy: migrationId, channel, doneBytes: integer() }),
    result: object({}),
  },
  /** Everything has arrived and the channels are closed: gives the images their names. */
  finishCopy: {
    params: object({ copy: migrationId }),
    result: object({
      /** In the order of `prepareCopy`: what each takes in its file system; `null` where unknown. */
      images: list(object({ path, allocatedBytes: nullable(integer()) }), MAX_IMAGES),
    }),
  },
} as const satisfies Record<string, { params: Schema<unknown>; result: Schema<unknown> }>;

/** An image in `prepareCopy`. */
export type CopyImage = TypeOf<typeof copyImage>;
