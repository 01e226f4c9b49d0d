/**
 * The call by which a source learns what the destination's disks hold already (docs/tunnel-protocol.md,
 * section 8). An older end answers `unknown-procedure`. Sizes in bytes.
 *
 * @module
 */
import { integer, object, text } from "./schema.ts";
import { name } from "./shapes.ts";

/** The longest range of one call: 256 blocks of 64 KiB. */
const MOST_BYTES = 16 << 20;

/** The calls, each with the shapes of its parameters and of its result. */
export const deltaProcedures = {
  /**
   * Hashes each block of 64 KiB in a range of an exported disk, or of an image that arrives. Only the owner of the
   * migration or copy may ask.
   */
  hashBlocks: {
    params: object({
      /** The source's name of the disk; the channel of an image; of a domain the name of its export. */
      disk: name,
      /** A multiple of 65536. */
      offset: integer(),
      length: integer(1, MOST_BYTES),
    }),
    result: object({
      /** Base64: a bit a block, the lowest bit of the first byte first: the block is all zeroes. */
      zero: text(64),
      /** Base64: the SHA-256 of each other block, in order. */
      digests: text(12_000),
    }),
  },
} as const;
