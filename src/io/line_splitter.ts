import { concat } from "@std/bytes/concat";
import { MAX_LINE } from "./lines.ts";

/**
 * Cuts bytes into lines of text. Pure. By hand, where {@link readLines} does not fit: the control
 * socket has a deadline for each of its reads.
 */
export class LineSplitter {
  #parts: Uint8Array[] = [];
  #length = 0;

  /**
   * Takes bytes, which may end anywhere, and yields every line that is complete, without its LF or
   * CRLF.
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
        // A copy: the caller fills its buffer again.
        this.#parts.push(piece.slice());
        this.#length += piece.length;
        return;
      }
      yield this.#take(piece);
      start = end + 1;
    }
  }

  #take(last: Uint8Array): string {
    const line = this.#parts.length === 0 ? last : concat([...this.#parts, last]);
    this.#parts = [];
    this.#length = 0;
    return new TextDecoder().decode(line).replace(/\r$/, "");
  }
}
