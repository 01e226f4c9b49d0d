/**
 * Deficit round robin over the streams that have something to send (Shreedhar and Varghese, 1995).
 * In each turn a stream may send `quantum` bytes; it keeps a rest that is too small for its next
 * frame. Pure.
 *
 * @module
 */

/** What the scheduler needs of a stream. */
export interface Schedulable {
  /** Size in bytes of the next frame to send; 0 when there is none. */
  readonly nextFrameLength: number;
  /** The scheduler's own: bytes left in this turn, `undefined` while the stream has no turn. */
  deficit: number | undefined;
}

/** Divides the connection among streams, by bytes. */
export class Scheduler<T extends Schedulable> {
  readonly #quantum: number;
  #turn: T[] = [];

  constructor(quantum: number) {
    this.#quantum = quantum;
  }

  /** The stream has something to send; may be called again. */
  ready(stream: T): void {
    if (stream.deficit !== undefined) return;
    stream.deficit = this.#quantum;
    this.#turn.push(stream);
  }

  /** The stream has nothing more to send. */
  remove(stream: T): void {
    if (stream.deficit === undefined) return;
    stream.deficit = undefined;
    this.#turn = this.#turn.filter((s) => s !== stream);
  }

  /**
   * The stream whose next frame goes out now; `undefined` when no stream has one. The caller takes
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
