import { abortable, type Clock, delay } from "../../io/mod.ts";
import type { BlockHashes, Range } from "../../delta/mod.ts";
import type { DiskProof, Piece } from "./disk_proof.ts";

/** Both ends of one disk, to compare it. */
export interface DiskEnds {
  /** Hashes blocks at the source. */
  here(range: Range, signal: AbortSignal): Promise<BlockHashes>;
  /** Hashes blocks at the destination. */
  there(range: Range, signal: AbortSignal): Promise<BlockHashes>;
}

/** A disk that is compared. */
export interface ComparedDisk {
  readonly proof: DiskProof;
  readonly ends: DiskEnds;
}

/** Pieces of a disk that are compared at a time before RAM crosses: enough for a long round trip. */
const AHEAD = 4;
/** The same while RAM crosses: what is under way when the guest is paused adds to the downtime. */
const AHEAD_RAM = 2;
/** Least time between two rounds while RAM crosses, ms. */
const REST_MS = 250;
/** A round has to leave fewer blocks open than this share of the round before, or it is the last one. */
const SHRINKS = 0.75;
/** Few open blocks are left to the pause at once; more than that never are, whatever the rate. */
const FEW = 16;
const MANY = 1024;

/** What {@link Rounds} needs. */
export interface RoundsOptions {
  readonly disks: readonly ComparedDisk[];
  /** How long the pause may compare, ms. */
  readonly pauseMs: number;
  readonly clock: Clock;
}

/** Compares the open blocks of all disks while the guest runs, again and again. */
export class Rounds {
  readonly #options: RoundsOptions;
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** Blocks of all disks that are not proved. */
  get open(): number {
    return this.#options.disks.reduce((sum, { proof }) => sum + proof.open, 0);
  }

  /**
   * Compares until the pause can compare the rest, or until a round does not leave less than the one before.
   *
   * @throws what an end throws, and the signal's reason.
   */
  async untilFew(signal: AbortSignal): Promise<void> {
    const { clock, pauseMs } = this.#options;
    let few: number | undefined;
    while (true) {
      const open = this.open;
      const begin = clock.now();
      await this.#round(AHEAD, signal);
      // Half of the pause: the rate there may be lower.
      const rate = open / Math.max(1, clock.now() - begin);
      few ??= Math.min(Math.max(FEW, rate * pauseMs / 2), MANY);
      if (this.open <= few || this.open > open * SHRINKS) return;
    }
  }

  /** Compares on while RAM crosses, until {@link stop}. `onFault` is called at most once. */
  begin(signal: AbortSignal, onFault: (error: unknown) => void): void {
    this.#stop = new AbortController();
    const { clock } = this.#options;
    const stop = AbortSignal.any([signal, this.#stop.signal]);
    const run = async () => {
      while (true) {
        const begin = clock.now();
        await this.#round(AHEAD_RAM, stop);
        await delay(clock, Math.max(REST_MS, clock.now() - begin), stop);
      }
    };
    this.#running = run().catch((error) => {
      if (!stop.aborted) onFault(error);
    });
  }

  /** Ends what {@link begin} began; what is under way counts as not compared. Never rejects. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("The guest is paused"));
    await this.#running;
  }

  async #round(ahead: number, signal: AbortSignal): Promise<void> {
    for (const { proof, ends } of this.#options.disks) {
      let at = 0;
      await inParallel(ahead, () => {
        const piece = proof.take(at);
        if (!piece) return undefined;
        at = piece.behind;
        return compare({ proof, ends }, piece, signal);
      });
    }
  }
}

/**
 * Compares a piece that was just taken.
 *
 * @returns the blocks that differ.
 * @throws what an end throws, and the signal's reason: what was open is open again.
 */
export async function compare(
  { proof, ends }: ComparedDisk,
  piece: Piece,
  signal: AbortSignal,
): Promise<number[]> {
  try {
    const { range } = piece;
    const both = Promise.all([ends.here(range, signal), ends.there(range, signal)]);
    const [here, there] = await abortable(both, signal);
    return proof.judge(piece, here, there);
  } catch (error) {
    proof.giveUp(piece);
    throw error;
  }
}

/**
 * Does pieces of work, some at a time, until `next` has no more. Returns or throws once none is under way.
 *
 * @throws the first error; no work is begun after it.
 */
export async function inParallel(
  most: number,
  next: () => Promise<unknown> | undefined,
): Promise<void> {
  let failure: { error: unknown } | undefined;
  const worker = async () => {
    while (!failure) {
      const work = next();
      if (!work) return;
      try {
        await work;
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: most }, worker));
  if (failure) throw failure.error;
}
