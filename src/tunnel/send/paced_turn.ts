import type { Clock } from "../../io/mod.ts";
import type { Pacer } from "./pacer.ts";

export interface PacedTurnOptions {
  /** Other queues may share it. */
  readonly pacer: Pacer;
  readonly clock: Clock;
  /** A frame that had to wait may go out. */
  readonly onTurn: () => void;
}

/**
 * When the next frame of one queue may go out. A frame that has to wait is counted before the wait:
 * queues that share a pacer then get their turns in the order in which they asked, and none of them
 * finds it used up each time it looks. Owned by the queue.
 */
export class PacedTurn {
  readonly #options: PacedTurnOptions;
  #stop: (() => void) | undefined;
  /** Bytes that are counted for the next frame. */
  #counted: number | undefined;

  constructor(options: PacedTurnOptions) {
    this.#options = options;
  }

  /** A frame waits for its turn. */
  get waits(): boolean {
    return this.#stop !== undefined;
  }

  /** Whether a frame of so many bytes may go out now; if not, `onTurn` is called when one may. */
  take(bytes: number): boolean {
    const { pacer, clock, onTurn } = this.#options;
    if (pacer.rate === Infinity) return true;
    if (this.#counted === undefined) {
      const wait = pacer.wait(clock.now());
      pacer.spend(bytes);
      this.#counted = bytes;
      if (wait > 0) {
        this.#stop = clock.after(wait, () => {
          this.#stop = undefined;
          onTurn();
        });
        return false;
      }
    }
    // The frame may be longer by now: the stream has got more bytes.
    pacer.spend(bytes - this.#counted);
    this.#counted = undefined;
    return true;
  }

  /** The pacer begins anew, with another rate. */
  reset(): void {
    this.stop();
    this.#counted = undefined;
  }

  /** No frame waits any more. */
  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}
