/**
 * `--verify`: both ends hash an image that has arrived.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import {
  BLOCK_BYTES,
  BlockHashes,
  hashBlocks,
  PAGE_BYTES,
  pageDigest,
  type Range,
  RootHash,
} from "../../delta/mod.ts";
import type { BlockDevice, BlockSource } from "../../nbd/mod.ts";
import type { Result } from "../../rpc/mod.ts";

/** Pages that are compared at once, 16 MiB each: enough for a long round trip. */
const AT_ONCE = 4;

/** What was compared of an image. */
export interface VerifiedImage {
  /** Blocks of 64 KiB of it. */
  readonly blocks: number;
  /** Bytes that were compared, those of blocks that were compared again twice. */
  readonly bytes: number;
  /** How long it took. */
  readonly seconds: number;
  /** Blocks that differed, and were sent again. */
  readonly differed: number;
  /** In hexadecimal digits, as for a migration. */
  readonly rootHash: string;
}

/** A block differs at both ends, also after it was sent again. */
export class BlockDiffersError extends Error {
  /** The class, also in a bundle. */
  override name = "BlockDiffersError";
  /** Where the first such block begins, bytes. */
  readonly offset: number;
  /** Makes the error. */
  constructor(offset: number) {
    super(`The block at offset ${offset} differs, also after it was sent again`);
    this.offset = offset;
  }
}

/** An end cannot read what it has to compare. */
export class VerifyReadError extends Error {
  /** The class, also in a bundle. */
  override name = "VerifyReadError";
  /** Which of the two it was. */
  readonly device: "source" | "target";
  /** Makes the error from its cause. */
  constructor(device: "source" | "target", cause: unknown) {
    super(messageOf(cause), { cause });
    this.device = device;
  }
}

/** What is compared, and how. */
export interface VerifyOptions {
  /** Is read, and must not change. */
  readonly source: BlockDevice;
  /** Gets blocks that differ once more. */
  readonly target: BlockDevice;
  /** Hashes blocks of the target. */
  readonly ask: (range: Range) => Promise<Result<"hashBlocks">>;
  /** Called for bytes that are the same at both ends. */
  readonly onSame: (bytes: number) => void;
  /** Called for blocks that differed and are the same now: where the first one begins, and how many. */
  readonly onMended: (offset: number, blocks: number) => void;
  /** The time, ms. */
  readonly now: () => number;
}

/**
 * Compares all blocks of an image at both ends. Blocks that differ are sent again once.
 *
 * @throws {BlockDiffersError} for one that still differs.
 * @throws {VerifyReadError} when an end cannot read it, or the target cannot be written.
 */
export async function verifyImage(options: VerifyOptions): Promise<VerifiedImage> {
  const { source, now } = options;
  const began = now();
  const root = new RootHash(source.sizeBytes);
  const image = new ImageComparison(options);
  let next = 0;
  let failed = false;
  const worker = async () => {
    for (let page; !failed && (page = next++) < root.pages;) {
      try {
        root.set(page, await image.compare(page));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const settled = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const result of settled) if (result.status === "rejected") throw result.reason;
  return {
    blocks: Math.ceil(source.sizeBytes / BLOCK_BYTES),
    bytes: image.bytes,
    seconds: (now() - began) / 1000,
    differed: image.differed,
    rootHash: (await root.value())!,
  };
}

class ImageComparison {
  bytes = 0;
  differed = 0;
  readonly #options: VerifyOptions;
  readonly #source: BlockSource;

  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#source = blockSource(options.source);
  }

  /** @returns the digest of the page. */
  async compare(page: number): Promise<Uint8Array> {
    const { source, onSame, onMended } = this.#options;
    const offset = page * PAGE_BYTES;
    const range = { offset, length: Math.min(PAGE_BYTES, source.sizeBytes - offset) };
    const [mine, theirs] = await Promise.all([
      of("source", hashBlocks(this.#source, range)),
      this.#ask(range),
    ]);
    const different = differences(mine, theirs);
    if (different.length > 0) {
      await this.#sendAgain(offset, different, mine);
      const again = await this.#ask(range);
      const [still] = differences(mine, again);
      if (still !== undefined) throw new BlockDiffersError(offset + still * BLOCK_BYTES);
      this.differed += different.length;
      onMended(offset + different[0]! * BLOCK_BYTES, different.length);
    }
    onSame(range.length);
    return await pageDigest(mine);
  }

  async #ask(range: Range): Promise<BlockHashes> {
    this.bytes += range.length;
    const blocks = Math.ceil(range.length / BLOCK_BYTES);
    const answer = this.#options.ask(range).then((answer) => BlockHashes.decode(answer, blocks));
    return await of("target", answer);
  }

  async #sendAgain(begin: number, blocks: readonly number[], mine: BlockHashes): Promise<void> {
    const { source, target } = this.#options;
    for (const block of blocks) {
      const offset = begin + block * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES, source.sizeBytes - offset);
      if (mine.isZero(block) && target.can.writeZeroes) {
        await of("target", target.writeZeroes(offset, length));
        continue;
      }
      const data = new Uint8Array(length);
      await of("source", source.read(offset, data));
      await of("target", target.write(offset, data));
    }
    if (target.can.flush) await of("target", target.flush());
  }
}

function differences(mine: BlockHashes, theirs: BlockHashes): number[] {
  const different: number[] = [];
  for (let i = 0; i < mine.blocks; i++) if (!mine.equals(i, theirs, i)) different.push(i);
  return different;
}

/** Reads a device block by block. */
function blockSource(device: BlockDevice): BlockSource {
  return {
    sizeBytes: device.sizeBytes,
    read: async (offset, length) => {
      const data = new Uint8Array(length);
      await device.read(offset, data);
      return data;
    },
    extents: async (offset, length) => {
      if (!device.can.blockStatus) return [];
      let at = offset;
      return (await device.blockStatus(offset, length)).map(({ length, zero }) => {
        const extent = { offset: at, length, isData: !zero };
        at += length;
        return extent;
      });
    },
  };
}

async function of<T>(device: "source" | "target", request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw new VerifyReadError(device, error);
  }
}
