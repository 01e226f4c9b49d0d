/**
 * A guest, its mirror and a comparison of both ends, whose every step comes in an order that a seed decides.
 *
 * @module
 */
import type { Clock } from "../../../src/io/mod.ts";
import type { BlockDevice } from "../../../src/nbd/mod.ts";
import { BLOCK_BYTES, BlockHashes, type Range } from "../../../src/delta/mod.ts";
import { DiskProof } from "../../../src/migrate/verify/disk_proof.ts";
import { PageHashes } from "../../../src/migrate/verify/page_hashes.ts";
import { Rounds } from "../../../src/migrate/verify/rounds.ts";
import { type Found, type PausedDisk, verdict } from "../../../src/migrate/verify/verdict.ts";
import { WatchedDevice, type WriteWatch } from "../../../src/migrate/verify/watched_device.ts";
import { settle } from "../../support/manual_clock.ts";

/** What a test may change. Shares are from 0 to 1. */
export interface SimulationOptions {
  readonly seed: number;
  /** Default 600: two pages and a part of the third. */
  readonly blocks?: number;
  /** Writes of the guest. Default 300. */
  readonly writes?: number;
  /** Share of the mirror's writes that fail; half of them are carried out all the same. Default 0.05. */
  readonly failing?: number;
  /** Share of the writes that the destination answers and loses. Default 0. */
  readonly lost?: number;
  /** Blocks whose content at the destination changes before they are compared. Default 0. */
  readonly flips?: number;
  /** A block that is wrong again after each write. */
  readonly stubborn?: number;
  /** How long the pause may compare, in steps. Default: without end. */
  readonly pauseMs?: number;
  /** Notes of writes, in place of the proof's own. */
  readonly watch?: (proof: DiskProof) => WriteWatch;
}

/** Small whole numbers from a seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 2 ** 32 * below);
  };
}

/** One run. Each block holds a number; 0 is a block of zeroes. */
export class Simulation implements Clock {
  readonly source: Int32Array;
  readonly destination: Int32Array;
  /** Blocks that were made wrong at the destination. */
  readonly wrong = new Set<number>();
  readonly proof: DiskProof;
  readonly #options: SimulationOptions;
  readonly #random: (below: number) => number;
  readonly #blocks: number;
  #ready: (() => void)[] = [];
  #now = 0;
  #next = 1;
  readonly #dirty = new Set<number>();
  /** Blocks that the mirror is sending. */
  readonly #busy = new Set<number>();
  #inFlight = 0;
  #guestEnds = false;
  /** Its last write is carried out. */
  #guestIsPaused = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = randomFrom(options.seed);
    this.#blocks = options.blocks ?? 600;
    this.source = new Int32Array(this.#blocks);
    for (let i = 0; i < this.#blocks; i++) this.source[i] = this.#random(4);
    this.destination = this.source.slice();
    // The last block is a short one.
    const sizeBytes = this.#blocks * BLOCK_BYTES - 512;
    this.proof = new DiskProof({ name: "vd0", sizeBytes }, new PageHashes(2));
  }

  now(): number {
    return this.#now;
  }

  after(_ms: number, callback: () => void): () => void {
    let isCancelled = false;
    this.#ready.push(() => isCancelled || callback());
    return () => isCancelled = true;
  }

  /** Runs it to the end. Throws as the verdict does. */
  async run(): Promise<Found> {
    const result = this.#run();
    let isOver = false;
    const over = () => void (isOver = true);
    result.then(over, over);
    while (!isOver) {
      await settle();
      if (isOver) break;
      if (this.#ready.length === 0) {
        // A SHA-256 is being computed in another thread.
        await new Promise((resolve) => setTimeout(resolve, 0));
        continue;
      }
      const [go] = this.#ready.splice(this.#random(this.#ready.length), 1);
      this.#now++;
      go!();
    }
    return await result;
  }

  async #run(): Promise<Found> {
    const { flips = 0, pauseMs = Infinity, watch = (proof: DiskProof) => proof } = this.#options;
    const { signal } = new AbortController();
    const device = new WatchedDevice(this.#device(), watch(this.proof));
    const tasks = [this.#guest(), this.#mirror(device), this.#mirror(device)];
    for (let i = 0; i < flips; i++) await this.#flip(this.#random(this.#blocks));
    if (this.#options.stubborn !== undefined) await this.#flip(this.#options.stubborn);
    const disk: PausedDisk = {
      proof: this.proof,
      ends: {
        here: (range) => this.#hash(this.source, range),
        there: (range) => this.#hash(this.destination, range),
      },
      repair: (ranges) => this.#repair(ranges),
    };
    const rounds = new Rounds({ disks: [disk], pauseMs: 1, clock: this });
    await rounds.untilFew(signal);
    rounds.begin(signal, (error) => {
      throw error;
    });
    for (let i = this.#random(200); i > 0; i--) await this.#turn();
    this.#guestEnds = true;
    await Promise.all(tasks);
    await rounds.stop();
    const [found] = await verdict({ disks: [disk], pauseMs, clock: this, signal });
    await settle();
    return found!;
  }

  /** Lets something else go first. */
  #turn(): Promise<void> {
    return new Promise((resolve) => this.#ready.push(resolve));
  }

  #chance(share: number): boolean {
    return this.#random(1_000_000) < share * 1_000_000;
  }

  async #flip(block: number): Promise<void> {
    await this.#turn();
    this.destination[block] = 1_000_000 + this.#random(1000);
    this.wrong.add(block);
  }

  async #guest(): Promise<void> {
    for (let left = this.#options.writes ?? 300; left > 0 && !this.#guestEnds; left--) {
      await this.#turn();
      // Few blocks, again and again, some with what they held before.
      const block = this.#random(this.#chance(0.7) ? 20 : this.#blocks);
      const before = this.source[block]!;
      this.source[block] = this.#next++;
      await this.#turn();
      this.#dirty.add(block);
      if (!this.#chance(0.3)) continue;
      await this.#turn();
      this.source[block] = before;
      this.#dirty.add(block);
    }
    this.#guestIsPaused = true;
  }

  async #mirror(device: WatchedDevice): Promise<void> {
    while (!this.#guestIsPaused || this.#dirty.size > 0 || this.#inFlight > 0) {
      await this.#turn();
      const dirty = [...this.#dirty];
      // A block at a time, as QEMU does.
      const block = dirty[this.#random(dirty.length)];
      if (block === undefined || this.#busy.has(block)) continue;
      this.#dirty.delete(block);
      this.#busy.add(block);
      this.#inFlight++;
      const bytes = new Uint8Array(
        Math.min(BLOCK_BYTES, this.proof.sizeBytes - block * BLOCK_BYTES),
      );
      new DataView(bytes.buffer).setInt32(0, this.source[block]!);
      await this.#turn();
      await device.write(block * BLOCK_BYTES, bytes).catch(() => this.#dirty.add(block));
      this.#busy.delete(block);
      this.#inFlight--;
    }
  }

  #device(): BlockDevice {
    const write = async (offset: number, bytes: Uint8Array) => {
      const { failing = 0.05, lost = 0 } = this.#options;
      const block = offset / BLOCK_BYTES;
      const fails = this.#chance(failing);
      await this.#turn();
      if (!fails || this.#chance(0.5)) {
        if (this.#chance(lost)) this.wrong.add(block);
        else this.destination[block] = new DataView(bytes.buffer).getInt32(0);
        if (block === this.#options.stubborn) await this.#flip(block);
      }
      await this.#turn();
      if (fails) throw new Error("The connection is lost");
    };
    return { sizeBytes: this.proof.sizeBytes, write } as unknown as BlockDevice;
  }

  /** Reads one block after the other, each when its turn comes. */
  async #hash(blocks: Int32Array, { offset, length }: Range): Promise<BlockHashes> {
    const first = offset / BLOCK_BYTES;
    const hashes = new BlockHashes(Math.ceil(length / BLOCK_BYTES));
    for (let i = 0; i < hashes.blocks; i++) {
      if (i % 16 === 0) await this.#turn();
      const value = blocks[first + i]!;
      if (value !== 0) hashes.set(i, digestOf(value));
    }
    await this.#turn();
    return hashes;
  }

  async #repair(ranges: readonly Range[]): Promise<void> {
    for (const { offset } of ranges) {
      const block = offset / BLOCK_BYTES;
      await this.#turn();
      this.destination[block] = this.source[block]!;
      if (block === this.#options.stubborn) await this.#flip(block);
    }
  }
}

/** Stands for a SHA-256. */
export function digestOf(value: number): Uint8Array {
  const digest = new Uint8Array(32);
  new DataView(digest.buffer).setInt32(0, value);
  return digest;
}
