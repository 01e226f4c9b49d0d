import type { BytePipe } from "../../io/mod.ts";
import { splice } from "../../tunnel/mod.ts";

/**
 * Holds RAM back while a connection is down that it does not use, as one of several may be. QEMU would
 * pause the guest once RAM has crossed, and the guest would then wait for the writes of a disk whose
 * connection is down. While nothing takes RAM, QEMU waits for its socket, and the guest runs.
 */
export class RamGate {
  #isDown = false;
  #isStopped = false;
  #isDone = false;
  readonly #waiting = new Set<() => void>();

  /** Joins a connection of QEMU's for RAM to its stream. */
  readonly join: typeof splice = (stream, pipe, options) =>
    splice(stream, this.#behind(pipe), options);

  /** `down`: some connection of the session is. */
  connectionChanged(state: "up" | "down"): void {
    this.#isDown = state === "down";
    this.#wake();
  }

  /** A guest that does not run gains nothing by the wait. */
  guestStopped(isStopped: boolean): void {
    this.#isStopped = isStopped;
    this.#wake();
  }

  /** The guest is paused for the switchover: what is left of it must cross as soon as it can. */
  guestPaused(): void {
    this.#isDone = true;
    this.#wake();
  }

  get #isOpen(): boolean {
    return !this.#isDown || this.#isStopped || this.#isDone;
  }

  #behind(pipe: BytePipe): BytePipe {
    let isClosed = false;
    return {
      read: async (into) => {
        while (!this.#isOpen && !isClosed) {
          await new Promise<void>((resolve) => this.#waiting.add(resolve));
        }
        // Who has closed it may read the rest by itself.
        return isClosed ? null : await pipe.read(into);
      },
      write: (from) => pipe.write(from),
      closeWrite: () => pipe.closeWrite(),
      close: () => {
        isClosed = true;
        pipe.close();
        this.#wake();
      },
    };
  }

  /** Each looks for itself whether it may go on. */
  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
