/** What QEMU may reckon with at first, ms. */
const FIRST_MS = 10;
/** How often QEMU reckons anew how much of memory that is (its `BUFFER_DELAY`), ms. */
const RECKONS_MS = 100;

/**
 * The downtime limit that QEMU is given. It stops the guest as soon as it reckons that what is left of
 * its memory takes no longer, even where another round would leave far less: a guest whose whole memory
 * can be sent within the limit stands still for all of it. So it gets a short one at first, and twice as
 * much with each round that did not get there. Pure; the caller brings the time, in ms.
 */
export class DowntimeSteps {
  #limitMs = FIRST_MS;
  #raisedAt = -Infinity;

  /** ms. */
  get limitMs(): number {
    return this.#limitMs;
  }

  /** @param round 1 for all of memory, 2 for what was changed meanwhile, and so on. */
  roundBegan(round: number, now: number): void {
    // The second is the first that has little to send.
    if (round <= 2 || now - this.#raisedAt < RECKONS_MS) return;
    this.#raisedAt = now;
    this.#limitMs *= 2;
  }
}
