/** The first downtime limit, ms. */
const FIRST_MS = 10;
/** How often QEMU converts the limit to bytes (its `BUFFER_DELAY`), ms. */
const RECKONS_MS = 100;

/**
 * The downtime limit for QEMU (migration parameter `downtime-limit`). QEMU pauses the guest as soon as
 * it expects to send the rest of the RAM within the limit, even where another pass would leave far less:
 * if all RAM fits, the guest is paused while all of it is sent. So the limit begins short and doubles
 * with each pass that was too long for it. Pure; the caller passes the time, ms.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { DowntimeSteps } from "./downtime_steps.ts";
 *
 * const steps = new DowntimeSteps();
 * steps.roundBegan(2, 0);
 * assertEquals(steps.limitMs, 10);
 * steps.roundBegan(3, 500);
 * assertEquals(steps.limitMs, 20);
 * ```
 */
export class DowntimeSteps {
  #limitMs = FIRST_MS;
  #raisedAt = -Infinity;

  /** ms. */
  get limitMs(): number {
    return this.#limitMs;
  }

  /**
   * @param round number of the pass that began: 1 sends all RAM, 2 what the guest changed meanwhile.
   * @param now ms.
   */
  roundBegan(round: number, now: number): void {
    // The second pass is the first with little to send, and gets the first limit.
    if (round <= 2 || now - this.#raisedAt < RECKONS_MS) return;
    this.#raisedAt = now;
    this.#limitMs *= 2;
  }
}
