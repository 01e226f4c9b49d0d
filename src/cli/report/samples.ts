import type { DiskProgress, RamProgress } from "../../migrate/mod.ts";
import type { SampleColumns } from "./data.ts";

/** Least time between two samples at the beginning, ms. */
const GAP_MS = 400;
/** Numbers that are kept, all samples together: a report of some 500 KB. */
const MOST_NUMBERS = 60_000;
/** Samples that are kept at most, and at least. */
const MOST_SAMPLES = 1200;
const LEAST_SAMPLES = 100;
/** Values of a sample beside those of disks. */
const VALUES = 7;
/** Disks with a curve of their own. */
export const MOST_DISKS = 64;

/** What was measured at one moment; what is not known is `null`. */
export interface Sample {
  readonly atMs: number;
  readonly wireBytes: number | null;
  readonly rate: number | null;
  readonly rttMs: number | null;
  readonly ram: RamProgress | null;
  readonly disks: readonly DiskProgress[];
}

interface Kept extends Omit<Sample, "disks"> {
  readonly percent: readonly (number | null)[];
}

/**
 * Samples of a run, however long it is: when there are too many, every other one is dropped, and from then on they
 * are taken half as often. Pure.
 */
export class Samples {
  #kept: Kept[] = [];
  #names: string[] = [];
  #gapMs = GAP_MS;

  /**
   * Takes a sample, unless the last one is too close.
   *
   * @param isLast takes it in any case.
   */
  add({ disks, ...sample }: Sample, isLast = false): void {
    const last = this.#kept.at(-1);
    if (last && sample.atMs - last.atMs < this.#gapMs && !isLast) return;
    for (const { name } of disks) {
      if (this.#names.length < MOST_DISKS && !this.#names.includes(name)) this.#names.push(name);
    }
    const shares = new Map(disks.map((disk) => [disk.name, percentOf(disk)]));
    this.#kept.push({ ...sample, percent: this.#names.map((name) => shares.get(name) ?? null) });
    if (this.#kept.length > this.#most) this.#thin();
  }

  columns(): SampleColumns {
    const kept = this.#kept;
    return {
      atMs: kept.map(({ atMs }) => atMs),
      wireBytes: kept.map(({ wireBytes }) => wireBytes),
      rate: kept.map(({ rate }) => rate),
      rttMs: kept.map(({ rttMs }) => rttMs),
      ramLeft: kept.map(({ ram }) => ram?.remaining ?? null),
      dirtyRate: kept.map(({ ram }) => ram?.dirtyRate ?? null),
      throttlePercent: kept.map(({ ram }) => ram?.throttlePercent ?? null),
      disks: this.#names.map((name, i) => ({
        name,
        percent: kept.map(({ percent }) => percent[i] ?? null),
      })),
    };
  }

  get #most(): number {
    const most = Math.floor(MOST_NUMBERS / (VALUES + this.#names.length));
    return Math.min(MOST_SAMPLES, Math.max(LEAST_SAMPLES, most));
  }

  /** The first and the last sample stay. */
  #thin(): void {
    const last = this.#kept.length - 1;
    this.#kept = this.#kept.filter((_, i) => i % 2 === 0 || i === last);
    this.#gapMs *= 2;
  }
}

function percentOf({ transferred, total }: DiskProgress): number {
  return total > 0 ? Math.round(transferred / total * 1000) / 10 : 100;
}
