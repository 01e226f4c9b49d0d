import type { Clock } from "../io/mod.ts";
import type { Phase, RamProgress, Report } from "./events.ts";
import type { MirrorSet } from "./mirrors.ts";
import type { Ram } from "./ram.ts";

/** How often progress is told, ms. */
const EVERY_MS = 500;
/** Weight of the newest rate in the mean that is shown. */
const SMOOTHING = 0.3;

/** Tells how far things are, twice a second, until it is stopped. */
export class ProgressTicker {
  readonly #clock: Clock;
  readonly #report: Report;
  readonly #mirrors: MirrorSet;
  /** Bytes that crossed so far. */
  readonly #crossed: () => number;
  #ram: Ram | undefined;
  #phase: Phase = "mirror";
  #stopTimer: () => void = () => {};
  #stopped = false;
  #bytes: number;
  #at: number;
  #rate: number | undefined;

  constructor(
    options: { clock: Clock; report: Report; mirrors: MirrorSet; crossed: () => number },
  ) {
    this.#clock = options.clock;
    this.#report = options.report;
    this.#mirrors = options.mirrors;
    this.#crossed = options.crossed;
    this.#bytes = options.crossed();
    this.#at = options.clock.now();
    this.#arm();
  }

  phase(phase: Phase): void {
    this.#phase = phase;
  }

  withRam(ram: Ram): void {
    this.#ram = ram;
  }

  /** Stops; the last figures of the disks are told once more. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stopTimer();
    this.#tell(null);
  }

  #arm(): void {
    this.#stopTimer = this.#clock.after(EVERY_MS, () => this.#tick());
  }

  async #tick(): Promise<void> {
    // A QEMU that does not answer is found out elsewhere; progress only has nothing to say then.
    const ram = await this.#ram?.progress().catch(() => null) ?? null;
    if (this.#stopped) return;
    this.#tell(ram);
    this.#arm();
  }

  #tell(ram: RamProgress | null): void {
    const now = this.#clock.now();
    const bytes = this.#crossed();
    if (now > this.#at) {
      const rate = (bytes - this.#bytes) * 1000 / (now - this.#at);
      this.#rate = this.#rate === undefined ? rate : this.#rate + SMOOTHING * (rate - this.#rate);
      [this.#bytes, this.#at] = [bytes, now];
    }
    const rate = Math.round(this.#rate ?? 0);
    const disks = this.#mirrors.progress;
    const left = disks.reduce((sum, d) => sum + d.total - d.transferred, 0) + (ram?.remaining ?? 0);
    this.#report({
      event: "progress",
      phase: this.#phase,
      disks,
      ram,
      rate,
      eta: rate > 0 ? Math.ceil(left / rate) : null,
    });
  }
}
