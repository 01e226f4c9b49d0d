import type { Clock } from "../../io/mod.ts";
import type { Report } from "../../migrate/mod.ts";
import type { CarryProgress } from "../../transport/mod.ts";

/** Time before the first event and between two of them, ms. */
const EVERY_MS = 1000;

/** Reports how far the program has been sent to another host, if that takes longer than a second. */
export class CarryEvents {
  readonly #report: Report;
  readonly #clock: Clock;
  #last: number | undefined;
  #isReported = false;

  constructor(report: Report, clock: Clock) {
    this.#report = report;
    this.#clock = clock;
  }

  /** Some of it was sent. */
  readonly onProgress = ({ host, sent, total }: CarryProgress): void => {
    const now = this.#clock.now();
    this.#last ??= now;
    const isDue = now - this.#last >= EVERY_MS || (this.#isReported && sent === total);
    if (!isDue || sent === 0) return;
    this.#last = now;
    this.#isReported = true;
    this.#report({ event: "carry", host, sent, total });
  };
}
