/** Longest line that is taken, bytes; QMP's `query-qmp-schema` answers with megabytes. */
export const MAX_LINE = 64 * 1024 * 1024;

/** Cuts a byte stream into lines of text. Pure. */
export class LineSplitter {
  #parts: Uint8Array[] = [];
  #length = 0;

  /**
   * Takes bytes as they came and hands out every line that is complete, without its end.
   *
   * @throws {RangeError} when a line is longer than `maxLine` bytes.
   */
  *push(bytes: Uint8Array, maxLine: number = MAX_LINE): Generator<string> {
    let start = 0;
    while (start < bytes.length) {
      const end = bytes.indexOf(0x0a, start);
      const piece = bytes.subarray(start, end < 0 ? bytes.length : end);
      if (this.#length + piece.length > maxLine) {
        throw new RangeError(`Got a line of more than ${maxLine} bytes`);
      }
      if (end < 0) {
        // The caller's buffer is used again.
        this.#parts.push(piece.slice());
        this.#length += piece.length;
        return;
      }
      yield this.#take(piece);
      start = end + 1;
    }
  }

  #take(last: Uint8Array): string {
    let line = last;
    if (this.#parts.length > 0) {
      line = new Uint8Array(this.#length + last.length);
      let at = 0;
      for (const part of [...this.#parts, last]) {
        line.set(part, at);
        at += part.length;
      }
      this.#parts = [];
      this.#length = 0;
    }
    return new TextDecoder().decode(line).replace(/\r$/, "");
  }
}
