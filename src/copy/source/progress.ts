import type { Clock } from "../../io/mod.ts";
import type { DiskProgress, Phase, Report } from "../../migrate/mod.ts";

/** How often progress is reported, ms. */
const TICK_MS = 500;
/** Time over which the rate is measured, ms. */
const RATE_MS = 5_000;

/** An image that is copied. */
interface Part {
  readonly name: string;
  readonly total: number;
  readonly sizeBytes: number;
  transferred: number;
  ready: boolean;
  verified?: number;
  skipped?: number;
}

/** Counts what happens to an image. */
export interface ImageProgress {
  /** Bytes have crossed, or need not. */
  readonly add: (bytes: number) => void;
  /** All have. */
  readonly done: () => void;
  /** Bytes are the same at both ends. */
  readonly same: (bytes: number) => void;
  /** With `--delta`: bytes that were not sent so far. */
  skipped?: () => number;
}

/** Counts what has crossed and reports it, until disposed. */
export class CopyProgress implements Disposable {
  readonly #report: Report;
  readonly #clock: Clock;
  readonly #parts: Part[] = [];
  readonly #skipped: (() => void)[] = [];
  /** Times and sums of before. */
  #past: { readonly at: number; readonly sum: number }[] = [];
  #cancel: () => void = () => {};
  /** What is being done. */
  phase: Phase = "copy";

  /** Reports nothing yet. */
  constructor(report: Report, clock: Clock) {
    this.#report = report;
    this.#clock = clock;
  }

  /**
   * Adds an image.
   *
   * @param total bytes of data in it.
   */
  image(name: string, total: number, sizeBytes: number): ImageProgress {
    const part: Part = { name, total, sizeBytes, transferred: 0, ready: false };
    this.#parts.push(part);
    const progress: ImageProgress = {
      add: (bytes) => part.transferred = Math.min(total, part.transferred + bytes),
      done: () => {
        part.transferred = total;
        part.ready = true;
      },
      same: (bytes) => part.verified = (part.verified ?? 0) + bytes,
    };
    this.#skipped.push(() => {
      if (progress.skipped) part.skipped = progress.skipped();
    });
    return progress;
  }

  /** Bytes of data that have crossed. */
  get sum(): number {
    return this.#parts.reduce((sum, part) => sum + part.transferred, 0);
  }

  /** Reports from now on, at intervals. */
  start(): void {
    this.#past = [{ at: this.#clock.now(), sum: this.sum }];
    const tick = () => {
      this.report();
      this.#cancel = this.#clock.after(TICK_MS, tick);
    };
    this.#cancel = this.#clock.after(TICK_MS, tick);
  }

  /** Reports once. */
  report(): void {
    const [now, sum] = [this.#clock.now(), this.sum];
    this.#past.push({ at: now, sum });
    while (this.#past.length > 2 && this.#past[0]!.at < now - RATE_MS) this.#past.shift();
    const [first] = this.#past;
    const ms = now - first!.at;
    const rate = ms > 0 ? Math.round((sum - first!.sum) / ms * 1000) : 0;
    const left = this.#parts.reduce((left, part) => left + part.total - part.transferred, 0);
    const eta = rate > 0 ? Math.round(left / rate) : null;
    for (const update of this.#skipped) update();
    const disks: DiskProgress[] = this.#parts.map((part) => ({ ...part }));
    this.#report({ event: "progress", phase: this.phase, disks, ram: null, rate, eta });
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }
}
