import type { DiskProgress, RamProgress } from "../events.ts";

/** The state of the copy, sampled twice a second. Sizes in bytes, rates in bytes per second. */
export interface Sample {
  /** ms. */
  readonly now: number;
  readonly disks: readonly DiskProgress[];
  readonly ram: RamProgress | null;
  /** Throughput of everything together. */
  readonly rate: number;
}

/** A disk or the RAM that will not be copied completely while the guest writes as it does. */
export type Finding =
  | {
    readonly kind: "disk";
    readonly name: string;
    /** What the guest writes and what the mirror copies, bytes per second. */
    readonly written: number;
    readonly copied: number;
    /** What the mirror has yet to copy, bytes. */
    readonly behind: number;
    /** Almost ready, but never without a write in flight, as QEMU requires for `ready`. */
    readonly close: boolean;
  }
  | {
    readonly kind: "ram";
    /** What the last complete pass had to send, bytes. */
    readonly left: number;
    readonly rate: number;
  };

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
/** How long the passes over RAM must not have become shorter, ms. */
const RAM_MS = 10_000;
/** Largest share of an earlier pass that a pass over RAM may have to send while it converges. */
const SHORTER = 0.9;
/** How long a finding is not repeated, ms. */
const AGAIN_MS = 60_000;
/** A ready disk that is behind by no more keeps up, bytes. */
const IN_STEP = 16 * 1024 * 1024;

interface Point {
  readonly at: number;
  readonly transferred: number;
  readonly total: number;
}

/** Predicts from samples of the progress whether the disks and the RAM will ever be copied. Pure. */
export class Convergence {
  readonly #disks = new Map<string, { first: number; points: Point[] }>();
  readonly #reported = new Map<string, number>();
  /** Each pass over RAM: when it was first seen, and the most that it had left to send. */
  readonly #rounds = new Map<number, { readonly at: number; left: number }>();

  /** True once every disk was copied once: the rest is what the guest has changed meanwhile. */
  get onceThrough(): boolean {
    return this.#disks.size > 0 &&
      [...this.#disks.values()].every(({ first, points }) =>
        (points.at(-1)?.transferred ?? 0) >= first
      );
  }

  /** Takes a sample; returns the findings to report now. */
  look(sample: Sample): Finding[] {
    const found = [...this.#disksOf(sample), ...this.#ramOf(sample)];
    return found.filter((finding) => {
      const key = finding.kind === "disk" ? `disk ${finding.name}` : "ram";
      const last = this.#reported.get(key);
      if (last !== undefined && sample.now - last < AGAIN_MS) return false;
      this.#reported.set(key, sample.now);
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
        ...{ kind: "disk", name, behind, close: near !== undefined },
        written: (total - from.total) / seconds,
        copied: (transferred - from.transferred) / seconds,
      };
    }
  }

  *#ramOf({ now, ram, rate }: Sample): Generator<Finding> {
    // The first pass sends all RAM, a later one what the guest changed during the pass before.
    if (!ram || ram.iteration < 2) return;
    const round = this.#rounds.get(ram.iteration);
    if (round) round.left = Math.max(round.left, ram.remaining);
    else this.#rounds.set(ram.iteration, { at: now, left: ram.remaining });
    const whole = [...this.#rounds].filter(([i]) => i < ram.iteration).map(([, r]) => r);
    const last = whole.at(-1);
    const before = whole.findLast((r) => last !== undefined && last.at - r.at >= RAM_MS);
    for (const [i, { at }] of this.#rounds) if (before && at < before.at) this.#rounds.delete(i);
    if (!last || !before || last.left < SHORTER * before.left) return;
    yield { kind: "ram", left: last.left, rate };
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
