import { abortable, type Clock } from "../../io/mod.ts";
import { BLOCK_BYTES, type Range } from "../../delta/mod.ts";
import { MigrationError } from "../errors.ts";
import type { DiskProof } from "./disk_proof.ts";
import { compare, type ComparedDisk, inParallel } from "./rounds.ts";

/** A disk in the pause: its mirror has ended, and nobody writes to either end. */
export interface PausedDisk extends ComparedDisk {
  /** Sends blocks of the source to the destination again, and flushes them there. */
  repair(ranges: readonly Range[], signal: AbortSignal): Promise<void>;
}

/** Pieces under way at a time, over all disks, and the most blocks of one: they end after the time is up. */
const AT_ONCE = 8;
const MOST_BLOCKS = 32;
/** Suspects of a disk that are compared however long it takes. */
const MOST_SUSPECTS = 256;
/** Blocks of a disk that are sent again in the pause, 16 MiB; more are a fault at once. */
const MOST_REPAIRED = 256;
/** Pages of a disk that are read again for its root hash. */
const MOST_PAGES = 4;

/** What {@link verdict} needs. */
export interface VerdictOptions {
  readonly disks: readonly PausedDisk[];
  /** How long it may compare what is open but no suspect, ms: the guest is paused. */
  readonly pauseMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What the verdict found on a disk. */
export interface Found {
  readonly proof: DiskProof;
  /** Blocks that differed and are the same again. */
  readonly differed: readonly number[];
}

/**
 * Compares the rest, once the guest is paused and the mirrors have ended without an error. Nothing moves any
 * more, so that a difference is one: its block is sent again once, and compared again.
 *
 * @returns the blocks of each disk that differed. What the time does not suffice for stays open.
 * @throws {MigrationError} code `disk-differs`, when a block differs still, or too many do.
 * @throws what an end throws, and the signal's reason.
 */
export async function verdict(options: VerdictOptions): Promise<Found[]> {
  const { disks, clock, pauseMs, signal } = options;
  const until = clock.now() + pauseMs;
  const differing = new Map(disks.map((disk) => [disk, new Set<number>()]));
  const check = async (disk: PausedDisk, first: number, behind: number) => {
    const piece = disk.proof.takeRun(first, behind);
    for (const block of await compare(disk, piece, signal)) differing.get(disk)!.add(block);
  };
  const suspects = disks.flatMap((disk) =>
    disk.proof.suspects.slice(0, MOST_SUSPECTS).map((block) => ({ disk, block }))
  );
  await inParallel(AT_ONCE, () => {
    const next = suspects.shift();
    return next && check(next.disk, next.block, next.block + 1);
  });
  const rest = openPieces(disks, (disk, block) => differing.get(disk)!.has(block));
  await inParallel(AT_ONCE, () => {
    if (clock.now() >= until) return undefined;
    const next = rest.next();
    return next.done ? undefined : check(next.value.disk, next.value.first, next.value.behind);
  });
  const found: Found[] = [];
  for (const disk of disks) {
    const blocks = [...differing.get(disk)!].sort((a, b) => a - b);
    if (blocks.length > 0) await sendAgain(disk, blocks, signal);
    found.push({ proof: disk.proof, differed: blocks.filter((b) => disk.proof.isDefined(b)) });
  }
  await digest(options, until);
  return found;
}

/** Runs of open blocks, as far as they are not known to differ. */
function* openPieces(
  disks: readonly PausedDisk[],
  isKnown: (disk: PausedDisk, block: number) => boolean,
): Generator<{ disk: PausedDisk; first: number; behind: number }> {
  for (const disk of disks) {
    let at = 0;
    while (true) {
      const piece = disk.proof.take(at);
      if (!piece) break;
      disk.proof.giveUp(piece);
      at = piece.behind;
      for (let first = piece.first; first < piece.behind; first += MOST_BLOCKS) {
        const behind = Math.min(first + MOST_BLOCKS, piece.behind);
        const open = piece.open.filter((block) => block >= first && block < behind);
        if (open.every((block) => isKnown(disk, block))) continue;
        yield { disk, first, behind };
      }
    }
  }
}

async function sendAgain(
  disk: PausedDisk,
  blocks: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  const { proof, repair } = disk;
  if (blocks.length > MOST_REPAIRED) throw differs(proof, blocks, "too many to send them again");
  const ranges = blocks.map((block) => {
    const offset = block * BLOCK_BYTES;
    return { offset, length: Math.min(BLOCK_BYTES, proof.sizeBytes - offset) };
  });
  await abortable(repair.call(disk, ranges, signal), signal);
  const still: number[] = [];
  const left = [...blocks];
  await inParallel(AT_ONCE, () => {
    const block = left.shift();
    if (block === undefined) return undefined;
    const piece = proof.takeRun(block, block + 1);
    return compare(disk, piece, signal).then((found) => still.push(...found));
  });
  if (still.length > 0) throw differs(proof, still.sort((a, b) => a - b), "also once sent again");
}

/** Reads the few pages of which only a part was compared last, as far as there is time. */
async function digest({ disks, clock, signal }: VerdictOptions, until: number): Promise<void> {
  for (const { proof, ends } of disks) {
    const pages = proof.open > 0 ? [] : [...proof.undigested()];
    if (pages.length > MOST_PAGES) continue;
    for (const page of pages) {
      if (clock.now() >= until) return;
      const hashes = await abortable(ends.here(proof.rangeOf(page), signal), signal);
      await proof.digestPage(page, hashes);
    }
  }
}

function differs(proof: DiskProof, blocks: readonly number[], how: string): MigrationError {
  const message = `disk ${proof.name} differs from the source's ${wordsOn(blocks)}, ${how}. ` +
    "Check the destination's storage, and who else writes to it";
  return new MigrationError("failed", "disk-differs", "destination", message);
}

/** Where some blocks are, as bytes of the disk. */
export function wordsOn(blocks: readonly number[]): string {
  const shown = blocks.slice(0, 4).map((block) => String(block * BLOCK_BYTES)).join(", ");
  const more = blocks.length > 4 ? ` and ${blocks.length - 4} more` : "";
  return `in ${blocks.length === 1 ? "the block" : "the blocks"} of 64 KiB at ${shown}${more}`;
}
