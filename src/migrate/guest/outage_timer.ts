import type { Clock } from "../../io/mod.ts";

/** Once the connection has been down for so long, the guest's writes no longer wait for it, ms. */
const LONG_MS = 5_000;

/** Calls back once the connection has been down for a while, and no more until it is up or another one is lost. */
export class OutageTimer {
  readonly #clock: Clock;
  readonly #onLong: () => void;
  #stop: (() => void) | undefined;

  /**
   * Begins nothing yet.
   *
   * @param onLong called when an outage takes longer than {@link LONG_MS}.
   */
  constructor(clock: Clock, onLong: () => void) {
    [this.#clock, this.#onLong] = [clock, onLong];
  }

  /** One of the connections was lost, or all are up. A second loss does not postpone the call. */
  changed(state: "up" | "down"): void {
    if (state === "up") return this.stop();
    this.#stop ??= this.#clock.after(LONG_MS, () => {
      this.#stop = undefined;
      this.#onLong();
    });
  }

  /** The outage, if there is one, is not counted any more. */
  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}
