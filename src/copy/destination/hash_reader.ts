import { type BlockHashes, hashBlocks, type Range } from "../../delta/mod.ts";
import type { BytePipe } from "../../io/mod.ts";
import { NbdReader } from "../../nbd/mod.ts";

/** Reads an arriving image for its hashes, over a connection of its own. */
export class HashReader {
  readonly #connect: () => Promise<BytePipe>;
  #reader: Promise<NbdReader> | undefined;
  /** The last range that is being hashed. */
  #last: Promise<unknown> = Promise.resolve();

  /** Connects when it is needed. */
  constructor(connect: () => Promise<BytePipe>) {
    this.#connect = connect;
  }

  /**
   * Hashes a range of the image, as it is then: one after the other, so that few buffers are in use.
   *
   * @throws as `hashBlocks` of src/delta.
   */
  hash(range: Range): Promise<BlockHashes> {
    const hashes = this.#last.then(() => this.#hash(range));
    this.#last = hashes.catch(() => {});
    return hashes;
  }

  /** Hangs up. Never rejects. */
  async stop(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    await reader?.then((each) => each[Symbol.dispose](), () => {});
  }

  async #hash(range: Range): Promise<BlockHashes> {
    const opening = this.#reader ??= (async () => NbdReader.open(await this.#connect(), ""))();
    try {
      return await hashBlocks(await opening, range);
    } catch (error) {
      if (this.#reader === opening) await this.stop();
      throw error;
    }
  }
}
