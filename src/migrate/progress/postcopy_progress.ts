import { compressionOf } from "../events.ts";
import type { Clock } from "../../io/mod.ts";
import type { RamProgress, Report } from "../events.ts";

/** Interval of the progress events, ms. */
const EVERY_MS = 500;
/** Weight of the newest rate in the reported mean. */
const SMOOTHING = 0.3;

/** The migration, as far as the progress of post-copy needs it. */
export interface PostcopyProgressContext {
  readonly clock: Clock;
  readonly report: Report;
  /** Bytes that crossed so far, both directions. */
  readonly bytes: number;
  /** As many as there would be without compression: what the rate counts. */
  readonly carried: number;
}

/** Reports the progress of RAM that follows its guest (post-copy), twice a second until it is disposed of. */
export class PostcopyProgress implements Disposable {
  readonly #context: PostcopyProgressContext;
  readonly #ram: { progress(): Promise<RamProgress | null> };
  #stopTimer: () => void = () => {};
  #stopped = false;
  #bytes: number;
  #at: number;
  #rate: number | undefined;

  /** Begins to report. */
  constructor(context: PostcopyProgressContext, ram: { progress(): Promise<RamProgress | null> }) {
    this.#context = context;
    this.#ram = ram;
    this.#bytes = context.carried;
    this.#at = context.clock.now();
    this.#arm();
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#stopTimer();
  }

  #arm(): void {
    this.#stopTimer = this.#context.clock.after(EVERY_MS, () => this.#tick());
  }

  async #tick(): Promise<void> {
    // A QEMU that does not answer is reported elsewhere.
    const ram = await this.#ram.progress().catch(() => null);
    if (this.#stopped) return;
    const { clock, bytes: crossed, carried: bytes, report } = this.#context;
    const now = clock.now();
    if (now > this.#at) {
      const rate = (bytes - this.#bytes) * 1000 / (now - this.#at);
      this.#rate = this.#rate === undefined ? rate : this.#rate + SMOOTHING * (rate - this.#rate);
      [this.#bytes, this.#at] = [bytes, now];
    }
    const rate = Math.round(this.#rate ?? 0);
    const eta = ram && rate > 0 ? Math.ceil(ram.remaining / rate) : null;
    const compressed = compressionOf(crossed, bytes);
    report({ event: "progress", phase: "postcopy", disks: [], ram, rate, eta, ...compressed });
    this.#arm();
  }
}
