/** Separate ranges of one reply. A server sends a reply in order, or nearly so. */
const MAX_RANGES = 4096;

/** Which parts of a read have arrived: a server may send them in any order, but each once. */
export class Coverage {
  readonly #length: number;
  /** Sorted, with a gap before each but the first: begin, end, begin, end, ... */
  readonly #bounds: number[] = [];

  /** Of a read of `length` bytes. */
  constructor(length: number) {
    this.#length = length;
  }

  /**
   * Notes a part, bytes from the beginning of the read.
   *
   * @returns false when it is outside the read, has arrived already, or when there are too many gaps.
   */
  add(begin: number, length: number): boolean {
    const end = begin + length;
    if (begin < 0 || length <= 0 || end > this.#length) return false;
    const bounds = this.#bounds;
    // From the end: parts nearly always come in order.
    let at = bounds.length;
    while (at > 0 && bounds[at - 2]! >= end) at -= 2;
    const before = at > 0 ? bounds[at - 1]! : -1;
    if (before > begin) return false;
    const joinsBefore = before === begin;
    const joinsAfter = bounds[at] === end;
    if (joinsBefore && joinsAfter) bounds.splice(at - 1, 2);
    else if (joinsBefore) bounds[at - 1] = end;
    else if (joinsAfter) bounds[at] = begin;
    else bounds.splice(at, 0, begin, end);
    return bounds.length <= 2 * MAX_RANGES;
  }

  /** Everything has arrived. */
  get isWhole(): boolean {
    if (this.#length === 0) return true;
    return this.#bounds.length === 2 && this.#bounds[0] === 0 && this.#bounds[1] === this.#length;
  }
}
