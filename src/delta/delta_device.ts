import {
  type BlockDevice,
  WrappedDevice,
  type WriteOptions,
  type ZeroOptions,
} from "../nbd/mod.ts";
import { isZero } from "../io/mod.ts";
import { BLOCK_BYTES, PAGE_BLOCKS, sameDigest, sha256 } from "./block_hashes.ts";
import { BlockSet } from "./block_set.ts";
import type { KnownHashes } from "./known_hashes.ts";

/** What one disk has in common for all connections to it. */
export class DeltaDisk {
  /**
   * Blocks that were written, or may be: what was known of them is out of date. A block is added before its
   * write is sent.
   */
  readonly written: BlockSet;
  /** `undefined`: everything is sent. */
  readonly hashes: KnownHashes | undefined;
  /** Bytes that were not sent because the destination had them. */
  skippedBytes = 0;
  /** Those among them that were zeroes in a request without data. */
  skippedZeroBytes = 0;

  /**
   * Nothing is written yet.
   *
   * @param hashes what the destination holds; `undefined`: everything is sent.
   */
  constructor(hashes: KnownHashes | undefined, sizeBytes: number) {
    this.hashes = hashes;
    this.written = new BlockSet(Math.ceil(sizeBytes / BLOCK_BYTES));
  }
}

/** Options of {@link DeltaDevice}. */
export interface DeltaOptions {
  /** Zeroes must not become holes at the destination. */
  readonly noHoles: boolean;
  /**
   * The mirror may ask for zeroes without sending them. Default: true. With false a mirror whose target may make
   * holes, as libvirt's, does not begin by zeroing all of the disk (QEMU before 10.1).
   */
  readonly zeroRequests?: boolean;
}

/** Blocks from `first` to before `behind`. */
interface Blocks {
  readonly first: number;
  readonly behind: number;
}

/**
 * The destination's disk, as the mirror writes to it: a write of what the disk holds already is answered and
 * not sent. A block is compared by its hash until it is written for the first time, so it never matters
 * whether a hash was taken before or after a write. Flushes are sent: they cover what was there before.
 */
export class DeltaDevice extends WrappedDevice {
  readonly #disk: DeltaDisk;
  readonly #noHoles: boolean;

  /**
   * One connection to the disk.
   *
   * @param target owned by this device.
   */
  constructor(
    target: BlockDevice,
    disk: DeltaDisk,
    { noHoles, zeroRequests = true }: DeltaOptions,
  ) {
    // A hint to give up blocks is not passed on: the next run would find them gone.
    const zeroes = zeroRequests ? {} : { writeZeroes: false, fastZero: false };
    super(target, { ...target.can, ...zeroes, trim: false, cache: false });
    this.#disk = disk;
    this.#noHoles = noHoles;
  }

  /** Sends the blocks that differ, and those that the write covers in part. */
  override async write(
    offset: number,
    bytes: Uint8Array,
    { fua = false }: WriteOptions = {},
  ): Promise<void> {
    const end = offset + bytes.length;
    const part = (from: number, to: number) => bytes.subarray(from - offset, to - offset);
    const sends = new Sends();
    const differs = async (block: number) => {
      const known = await this.#known(block);
      if (!known) return true;
      const data = part(...this.#bytesOf(block));
      const zero = isZero(data);
      if (known.isZero || zero) return known.isZero !== zero;
      return !sameDigest(await sha256(data), known.digest!) || this.#disk.written.has(block);
    };
    await this.#send(offset, end, differs, (from, to) => {
      const data = part(from, to);
      sends.add(
        this.device.can.writeZeroes && isZero(data)
          ? this.#zero(from, to, { fua, noHole: false })
          : this.device.write(from, data, { fua }),
      );
    });
    if (!await sends.done() && fua) await this.flush();
  }

  /** Sends the blocks that do not hold zeroes, and those that the range covers in part. */
  override async writeZeroes(
    offset: number,
    length: number,
    { fua = false, noHole = false, fast = false }: ZeroOptions = {},
  ): Promise<void> {
    const sends = new Sends();
    const differs = async (block: number) => {
      const known = await this.#known(block);
      if (!known?.isZero) return true;
      const [from, to] = this.#bytesOf(block);
      this.#disk.skippedZeroBytes += to - from;
      return false;
    };
    await this.#send(offset, offset + length, differs, (from, to) => {
      sends.add(this.#zero(from, to, { fua, noHole, fast }));
    });
    if (!await sends.done() && fua) await this.flush();
  }

  /** Not offered; a hint may be ignored. */
  override trim(): Promise<void> {
    return Promise.resolve();
  }

  /** Not offered; a hint may be ignored. */
  override cache(): Promise<void> {
    return Promise.resolve();
  }

  #zero(from: number, to: number, options: ZeroOptions): Promise<void> {
    // The mirror's target node never asks for holes: that keeps QEMU from zeroing the disk first.
    return this.device.writeZeroes(from, to - from, { ...options, noHole: this.#noHoles });
  }

  /** What the destination holds in a block; `undefined` where that is not known. */
  async #known(block: number): Promise<{ isZero: boolean; digest?: Uint8Array } | undefined> {
    const { written, hashes } = this.#disk;
    if (!hashes || written.has(block)) return undefined;
    const page = await hashes.pageOf(block);
    if (!page || written.has(block)) return undefined;
    const at = block % PAGE_BLOCKS;
    return page.isZero(at) ? { isZero: true } : { isZero: false, digest: page.digest(at) };
  }

  /** Calls `send` for each run of bytes that must be sent, once their blocks count as written. */
  async #send(
    offset: number,
    end: number,
    differs: (block: number) => Promise<boolean>,
    send: (from: number, to: number) => void,
  ): Promise<void> {
    const { first, behind } = this.#wholeBlocks(offset, end);
    if (first >= behind) return this.#sendRun(offset, end, send);
    const head = first * BLOCK_BYTES;
    if (offset < head) this.#sendRun(offset, head, send);
    let from: number | undefined;
    for (let block = first; block < behind; block++) {
      const [begin] = this.#bytesOf(block);
      if (await differs(block)) {
        from ??= begin;
        continue;
      }
      if (from !== undefined) this.#sendRun(from, begin, send);
      from = undefined;
      const [, stop] = this.#bytesOf(block);
      this.#disk.skippedBytes += stop - begin;
    }
    const tail = Math.min(behind * BLOCK_BYTES, this.sizeBytes);
    if (from !== undefined) this.#sendRun(from, tail, send);
    if (tail < end) this.#sendRun(tail, end, send);
  }

  #sendRun(from: number, to: number, send: (from: number, to: number) => void): void {
    const last = Math.ceil(to / BLOCK_BYTES);
    this.#disk.written.addAll(Math.floor(from / BLOCK_BYTES), last);
    send(from, to);
  }

  /** Blocks that a range covers whole. The last one of a disk may be shorter. */
  #wholeBlocks(offset: number, end: number): Blocks {
    const behind = end === this.sizeBytes
      ? Math.ceil(end / BLOCK_BYTES)
      : Math.floor(end / BLOCK_BYTES);
    return { first: Math.ceil(offset / BLOCK_BYTES), behind };
  }

  #bytesOf(block: number): [from: number, to: number] {
    return [block * BLOCK_BYTES, Math.min((block + 1) * BLOCK_BYTES, this.sizeBytes)];
  }
}

/** The requests of one write. */
class Sends {
  readonly #all: Promise<void>[] = [];

  add(sent: Promise<void>): void {
    // It may fail while the hashes of later blocks are awaited, before anybody waits for it.
    sent.catch(() => {});
    this.#all.push(sent);
  }

  /**
   * Waits for all of them.
   *
   * @returns whether there was one.
   * @throws as the first that fails.
   */
  async done(): Promise<boolean> {
    await Promise.all(this.#all);
    return this.#all.length > 0;
  }
}
