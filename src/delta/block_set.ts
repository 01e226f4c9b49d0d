/** Blocks in one word of the set. */
const WORD = 32;

/** A set of the blocks of a disk: a bit a block, 4 MiB for 2 TiB in blocks of 64 KiB. */
export class BlockSet {
  readonly #words: Uint32Array;
  readonly #blocks: number;
  #size = 0;

  /** An empty set, unless `full`. */
  constructor(blocks: number, { full = false }: { readonly full?: boolean } = {}) {
    this.#blocks = blocks;
    this.#words = new Uint32Array(Math.ceil(blocks / WORD));
    if (!full) return;
    this.#size = blocks;
    this.#words.fill(0xffff_ffff);
    const rest = blocks % WORD;
    if (rest > 0) this.#words[this.#words.length - 1] = 2 ** rest - 1;
  }

  /** Number of blocks in it. */
  get size(): number {
    return this.#size;
  }

  /** Whether the block is in it. */
  has(block: number): boolean {
    return (this.#words[block >>> 5]! & (1 << (block & 31))) !== 0;
  }

  /** Adds a block. */
  add(block: number): void {
    if (this.has(block)) return;
    this.#words[block >>> 5]! |= 1 << (block & 31);
    this.#size++;
  }

  /** Adds the blocks from `first` to before `behind`. */
  addAll(first: number, behind: number): void {
    for (let block = first; block < behind; block++) this.add(block);
  }

  /** Takes a block out. */
  delete(block: number): void {
    if (!this.has(block)) return;
    this.#words[block >>> 5]! &= ~(1 << (block & 31));
    this.#size--;
  }

  /** The first block of the set from `block` on; `undefined` where there is none. */
  next(block: number): number | undefined {
    if (this.#size === 0 || block >= this.#blocks) return undefined;
    let at = block >>> 5;
    let word = (this.#words[at]! >>> (block & 31)) << (block & 31);
    while (word === 0) {
      if (++at >= this.#words.length) return undefined;
      word = this.#words[at]!;
    }
    // The lowest bit that is set.
    return at * WORD + 31 - Math.clz32(word & -word);
  }
}
