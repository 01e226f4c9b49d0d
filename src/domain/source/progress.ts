/**
 * libvirt's numbers on a migration as the progress that `migrate` reports. Pure.
 *
 * @module
 */
import type { BlockJob, JobInfo } from "../../libvirt/mod.ts";
import type { DiskProgress, RamProgress } from "../../migrate/mod.ts";

/** Bytes of a page where libvirt does not say (x86). */
const PAGE = 4096;
/** When the rate is first good enough for an estimate, ms after the start. */
const ETA_AFTER_MS = 2_000;
/** Weight of the newest rate in the reported mean. */
const SMOOTHING = 0.3;

/** A disk that libvirt copies. */
export interface CopiedDisk {
  /** Its target, such as `vda`. */
  readonly name: string;
  /** Virtual size, bytes. */
  readonly sizeBytes: number;
}

/** A disk's progress by its block job; `undefined` where it has none (yet, or any more). */
export function diskProgress(
  { name, sizeBytes }: CopiedDisk,
  job: BlockJob | undefined,
): DiskProgress {
  const { current = 0, end = sizeBytes } = job ?? {};
  return { name, sizeBytes, transferred: current, total: end, ready: end > 0 && current >= end };
}

/** The RAM's progress; `null` before RAM crosses. */
export function ramProgress(job: JobInfo): RamProgress | null {
  const total = job.memoryTotal ?? 0;
  if (total === 0) return null;
  return {
    transferred: job.memoryProcessed ?? 0,
    remaining: job.memoryRemaining ?? 0,
    total,
    dirtyRate: (job.dirtyPagesPerSecond ?? 0) * (job.pageSize ?? PAGE),
    iteration: job.iteration ?? 0,
  };
}

/** The throughput of a session, smoothed, and the time that is left by it. */
export class Rate {
  readonly #since: number;
  #at: number;
  #bytes: number;
  #rate: number | undefined;

  /** @param now ms. @param bytes crossed so far. */
  constructor(now: number, bytes: number) {
    this.#since = this.#at = now;
    this.#bytes = bytes;
  }

  /** Bytes per second. */
  get value(): number {
    return Math.round(this.#rate ?? 0);
  }

  /** Takes a sample. */
  sample(now: number, bytes: number): void {
    if (now <= this.#at) return;
    const rate = (bytes - this.#bytes) * 1000 / (now - this.#at);
    this.#rate = this.#rate === undefined ? rate : this.#rate + SMOOTHING * (rate - this.#rate);
    [this.#at, this.#bytes] = [now, bytes];
  }

  /** Seconds until the disks and the RAM have crossed; `null` where the rate says nothing. */
  eta(disks: readonly DiskProgress[], ram: RamProgress | null): number | null {
    if (this.value <= 0 || this.#at - this.#since < ETA_AFTER_MS) return null;
    const left = disks.reduce((sum, d) => sum + d.total - d.transferred, 0) + (ram?.remaining ?? 0);
    return Math.ceil(left / this.value);
  }
}
