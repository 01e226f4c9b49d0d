import type { DiskProgress, RamProgress } from "../events.ts";

/** What is looked at, twice a second. Sizes in bytes, rates in bytes per second. */
export interface Sample {
  /** ms. */
  readonly now: number;
  readonly disks: readonly DiskProgress[];
  readonly ram: RamProgress | null;
  /** What gets through for everything together. */
  readonly rate: number;
}

/** Something that will not come to its end by itself. */
export type Finding =
  | {
    readonly kind: "disk";
    readonly name: string;
    /** What the guest changes each second, and what of it gets through. */
    readonly written: number;
    readonly copied: number;
    readonly behind: number;
    /** It is nearly in step and does not get there: QEMU wants a moment without anything under way. */
    readonly close: boolean;
  }
  | {
    readonly kind: "ram";
    /** What the last whole round had to send. */
    readonly left: number;
    readonly rate: number;
  };

/** How long a disk must not have come nearer to its end, ms. */
const DISK_MS = 15_000;
/** Behind by no more than this, a disk is nearly in step: bytes. */
const CLOSE = 1024 * 1024;
/** What it may be further behind than before and has still not fallen back: a mirror's smallest part. */
const PART = 64 * 1024;
/** How long it may stay so while the guest goes on writing, ms. */
const CLOSE_MS = 3_000;
/** Looks of the last second, the newest one included. */
const RECENT = 3;
/** How long the rounds through memory must not have become shorter, ms. */
const RAM_MS = 10_000;
/** What a round has left at its start, at most, of what one before had, when it comes to an end. */
const SHORTER = 0.9;
/** How long the same is not said again, ms. */
const AGAIN_MS = 60_000;
/** Behind by no more than this, a disk that is in step is: bytes. */
const IN_STEP = 16 * 1024 * 1024;

interface Point {
  readonly at: number;
  readonly transferred: number;
  readonly total: number;
}

/** Finds out from how things go whether they will ever be done. Pure. */
export class Convergence {
  readonly #disks = new Map<string, { first: number; points: Point[] }>();
  readonly #said = new Map<string, number>();
  /** Each round through memory: when it was first seen, and the most that was left in it. */
  readonly #rounds = new Map<number, { readonly at: number; left: number }>();

  /** True once every disk was gone through once: what is left is what the guest changes. */
  get onceThrough(): boolean {
    return this.#disks.size > 0 &&
      [...this.#disks.values()].every(({ first, points }) =>
        (points.at(-1)?.transferred ?? 0) >= first
      );
  }

  /** What must be said now. */
  look(sample: Sample): Finding[] {
    const found = [...this.#disksOf(sample), ...this.#ramOf(sample)];
    return found.filter((finding) => {
      const key = finding.kind === "disk" ? `disk ${finding.name}` : "ram";
      const last = this.#said.get(key);
      if (last !== undefined && sample.now - last < AGAIN_MS) return false;
      this.#said.set(key, sample.now);
      return true;
    });
  }

  *#disksOf({ now, disks }: Sample): Generator<Finding> {
    for (const { name, transferred, total, ready } of disks) {
      // Nothing is known of a job that has not begun.
      if (transferred === 0) continue;
      const disk = this.#disks.get(name) ?? { first: total, points: [] };
      this.#disks.set(name, disk);
      disk.points.push({ at: now, transferred, total });
      while (disk.points.length > 2 && disk.points[1]!.at <= now - DISK_MS) disk.points.shift();
      const near = ready ? undefined : closeSince(disk.points, now);
      const from = near ?? disk.points[0]!;
      const behind = total - transferred;
      // Before the first time through, what is left falls anyhow.
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
    // The first round is all of memory, the later ones what was changed during the one before.
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

/** Since when, for {@link CLOSE_MS} at least, a disk was nearly in step while the guest wrote to it. */
function closeSince(points: readonly Point[], now: number): Point | undefined {
  const from = points.findLastIndex(({ at }) => now - at >= CLOSE_MS);
  if (from < 0) return undefined;
  const since = points.slice(from);
  const behind = since.map(({ total, transferred }) => total - transferred);
  const isClose = behind.every((bytes) => bytes > 0 && bytes <= CLOSE);
  // One that falls back is slower than the guest, and is found out as such.
  if (!isClose || behind.at(-1)! > behind[0]! + PART) return undefined;
  // Where nothing gets through the link is what is wrong, and no time to stop the guest.
  const before = since.at(-RECENT) ?? since[0]!;
  if (since.at(-1)!.transferred <= before.transferred) return undefined;
  return since.at(-1)!.total > since[0]!.total ? since[0] : undefined;
}
