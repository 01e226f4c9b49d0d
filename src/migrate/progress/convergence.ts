import type { DiskProgress } from "../events.ts";

/** The state of the copy, sampled twice a second. Sizes in bytes, rates in bytes per second. */
export interface Sample {
  /** ms. */
  readonly now: number;
  readonly disks: readonly DiskProgress[];
}

/** A disk that will not be copied completely while the guest writes as it does. */
export interface Finding {
  readonly name: string;
  /** What the guest writes and what the mirror copies, bytes per second. */
  readonly written: number;
  readonly copied: number;
  /** What the mirror has yet to copy, bytes. */
  readonly behind: number;
  /** Almost ready, but never without a write in flight, as QEMU requires for `ready`. */
  readonly close: boolean;
}

/** How long a disk must have made no progress, ms. */
const DISK_MS = 15_000;
/** A disk that is behind by no more is almost ready, bytes. */
const CLOSE = 1024 * 1024;
/** A disk that falls behind by no more has not lost ground, bytes: the smallest unit of a mirror. */
const PART = 64 * 1024;
/** How long it may stay almost ready while the guest writes, ms. */
const CLOSE_MS = 3_000;
/** Number of samples of the last second, the newest one included. */
const RECENT = 3;
/** How long a finding is not repeated, ms. */
const AGAIN_MS = 60_000;
/** A ready disk that is behind by no more keeps up, bytes. */
const IN_STEP = 16 * 1024 * 1024;

interface Point {
  readonly at: number;
  readonly transferred: number;
  readonly total: number;
}

/** Predicts from samples of the progress whether the disks will ever be copied. Pure. */
export class Convergence {
  readonly #disks = new Map<string, { first: number; points: Point[] }>();
  readonly #reported = new Map<string, number>();

  /** True once every disk was copied once: the rest is what the guest has changed meanwhile. */
  get onceThrough(): boolean {
    return this.#disks.size > 0 &&
      [...this.#disks.values()].every(({ first, points }) =>
        (points.at(-1)?.transferred ?? 0) >= first
      );
  }

  /** Takes a sample; returns the findings to report now. */
  look(sample: Sample): Finding[] {
    return [...this.#disksOf(sample)].filter(({ name }) => {
      const last = this.#reported.get(name);
      if (last !== undefined && sample.now - last < AGAIN_MS) return false;
      this.#reported.set(name, sample.now);
      return true;
    });
  }

  *#disksOf({ now, disks }: Sample): Generator<Finding> {
    for (const { name, transferred, total, ready } of disks) {
      // A job that has not begun says nothing yet.
      if (transferred === 0) continue;
      const disk = this.#disks.get(name) ?? { first: total, points: [] };
      this.#disks.set(name, disk);
      disk.points.push({ at: now, transferred, total });
      while (disk.points.length > 2 && disk.points[1]!.at <= now - DISK_MS) disk.points.shift();
      const near = ready ? undefined : closeSince(disk.points, now);
      const from = near ?? disk.points[0]!;
      const behind = total - transferred;
      // Before the disk was copied once, the rest shrinks in any case.
      if (from.transferred < disk.first) continue;
      if (!near) {
        if (now - from.at < DISK_MS) continue;
        if (behind < from.total - from.transferred || behind <= (ready ? IN_STEP : 0)) continue;
      }
      const seconds = (now - from.at) / 1000;
      yield {
        ...{ name, behind, close: near !== undefined },
        written: (total - from.total) / seconds,
        copied: (transferred - from.transferred) / seconds,
      };
    }
  }
}

/** The sample, {@link CLOSE_MS} ago or earlier, since which a disk was almost ready under the guest's writes. */
function closeSince(points: readonly Point[], now: number): Point | undefined {
  const from = points.findLastIndex(({ at }) => now - at >= CLOSE_MS);
  if (from < 0) return undefined;
  const since = points.slice(from);
  const behind = since.map(({ total, transferred }) => total - transferred);
  const isClose = behind.every((bytes) => bytes > 0 && bytes <= CLOSE);
  // A disk that loses ground is slower than the guest, which is another finding.
  if (!isClose || behind.at(-1)! > behind[0]! + PART) return undefined;
  // Without any throughput the connection is at fault, and pausing the guest would not help.
  const before = since.at(-RECENT) ?? since[0]!;
  if (since.at(-1)!.transferred <= before.transferred) return undefined;
  return since.at(-1)!.total > since[0]!.total ? since[0] : undefined;
}
