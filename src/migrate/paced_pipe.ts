import type { BytePipe, Clock } from "../io/mod.ts";

export interface PacedPipeOptions {
  /** Resolves when the reader has nothing left to do of what was written before the call. */
  readonly settled: () => Promise<unknown>;
  readonly clock: Clock;
}

const KiB = 1024;

/** Bytes that may be written and not settled: at first, at least and at most. */
const FIRST = 16 * KiB;
const LEAST = 4 * KiB;
const MOST = 16 * 1024 * KiB;
/** The reader should have work for no less and no more than this, ms. */
const SHORT_MS = 5;
const LONG_MS = 10;

/**
 * A pipe whose reader is never given much more than it gets done in some ten milliseconds, whatever
 * the buffers between would hold. Owns the pipe below.
 *
 * QEMU's destination loads memory in the thread that also serves its disks, and goes on as long as there
 * is any: a few hundred KiB can be a hundred thousand pages that are zero. What lies there when the guest
 * is stopped is time that the disks' last writes, and the guest, wait for.
 */
export class PacedPipe implements BytePipe {
  readonly #pipe: BytePipe;
  readonly #options: PacedPipeOptions;
  #allowance = FIRST;
  #written = 0;
  #settled = 0;
  /** Somebody asks at the moment whether all is settled. */
  #asking = false;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(pipe: BytePipe, options: PacedPipeOptions) {
    this.#pipe = pipe;
    this.#options = options;
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#pipe.read(into);
  }

  async write(from: Uint8Array): Promise<number> {
    while (!this.#closed && this.#unsettled >= this.#allowance) {
      this.#ask();
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const room = this.#allowance - this.#unsettled;
    const n = await this.#pipe.write(from.length <= room ? from : from.subarray(0, room));
    this.#written += n;
    if (this.#unsettled >= this.#allowance / 2) this.#ask();
    return n;
  }

  closeWrite(): Promise<void> {
    return this.#pipe.closeWrite();
  }

  close(): void {
    this.#closed = true;
    this.#pipe.close();
    this.#wakeWriter();
  }

  get #unsettled(): number {
    return this.#written - this.#settled;
  }

  #ask(): void {
    if (this.#asking) return;
    this.#asking = true;
    const { settled, clock } = this.#options;
    const [written, askedAt] = [this.#written, clock.now()];
    const answered = () => {
      this.#asking = false;
      this.#settled = written;
      const took = clock.now() - askedAt;
      if (took < SHORT_MS) this.#allowance = Math.min(MOST, this.#allowance * 2);
      else if (took > LONG_MS) this.#allowance = Math.max(LEAST, this.#allowance / 2);
      this.#wakeWriter();
    };
    // A reader that can't be asked is given all there is; that it fails is told elsewhere.
    settled().then(answered, () => {
      this.#allowance = Infinity;
      this.#wakeWriter();
    });
  }

  #wakeWriter(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
