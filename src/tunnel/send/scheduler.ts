/**
 * Who sends next: deficit round robin over the streams that have something to send (Shreedhar and
 * Varghese, 1995). Each turn a stream may send `quantum` bytes; what it could not use for want of a
 * large enough remainder it keeps. Pure.
 *
 * @module
 */

/** What the scheduler asks of a stream. */
export interface Schedulable {
  /** Size in bytes of the next frame to send; 0 when there is none. */
  readonly nextFrameLength: number;
  /** The scheduler's own: bytes it may still send in this turn, `undefined` while it has no turn. */
  deficit: number | undefined;
}

/** Shares the connection out among streams, byte for byte. */
export class Scheduler<T extends Schedulable> {
  readonly #quantum: number;
  #turn: T[] = [];

  constructor(quantum: number) {
    this.#quantum = quantum;
  }

  /** The stream has something to send now; does nothing when that is known already. */
  ready(stream: T): void {
    if (stream.deficit !== undefined) return;
    stream.deficit = this.#quantum;
    this.#turn.push(stream);
  }

  /** The stream has nothing to send any more. */
  remove(stream: T): void {
    if (stream.deficit === undefined) return;
    stream.deficit = undefined;
    this.#turn = this.#turn.filter((s) => s !== stream);
  }

  /**
   * The stream whose next frame goes out now, or `undefined` when none has one. The caller takes
   * exactly one frame from it and then calls `sent`.
   */
  next(): T | undefined {
    while (this.#turn.length > 0) {
      const stream = this.#turn[0]!;
      const length = stream.nextFrameLength;
      if (length === 0) {
        this.#turn.shift();
        stream.deficit = undefined;
        continue;
      }
      if (length <= stream.deficit!) return stream;
      stream.deficit! += this.#quantum;
      this.#turn.shift();
      this.#turn.push(stream);
    }
    return undefined;
  }

  /** One frame of `length` bytes was taken from the stream that `next` named. */
  sent(stream: T, length: number): void {
    if (stream.deficit !== undefined) stream.deficit -= length;
  }
}
