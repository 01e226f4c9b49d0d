import type { Decompress } from "../compress/zstd.ts";
import { ProtocolError } from "../errors.ts";
import * as limits from "../limits.ts";
import { RAW_LENGTH_BYTES } from "../wire/layout.ts";
import { getU32 } from "../wire/numbers.ts";

/**
 * Gathers the payload of one compressed DATA frame after the other and decompresses it
 * (docs/tunnel-protocol.md, section 5). Takes no memory beyond {@link limits.MAX_DATA} before the
 * length of the content was checked. Owned by the session's receiving half.
 */
export class CompressedPayload {
  readonly #decompress: Decompress;
  /** Where a payload is gathered that comes in several pieces. */
  #gather = new Uint8Array(0);
  #length = 0;
  #gathered = 0;
  /** The payload, if it came in one piece. */
  #whole: Uint8Array | undefined;
  #rawLength: number | undefined;

  constructor(decompress: Decompress) {
    this.#decompress = decompress;
  }

  /**
   * A frame begins.
   *
   * @param length bytes of its payload.
   * @throws {ProtocolError} when it is too short for any content.
   */
  begin(length: number): void {
    if (length <= RAW_LENGTH_BYTES) {
      throw new ProtocolError(
        `Got a compressed frame of ${length} bytes, expected ${RAW_LENGTH_BYTES + 1} or more`,
      );
    }
    this.#length = length;
    this.#gathered = 0;
    this.#whole = undefined;
    this.#rawLength = undefined;
  }

  /**
   * Adds a piece of the payload, which is used until `end` and not after.
   *
   * @returns the length of the content, bytes, in the call that learns it.
   * @throws {ProtocolError} when that is 0 or over the limit.
   */
  add(bytes: Uint8Array): number | undefined {
    if (bytes.length === this.#length) {
      this.#whole = bytes;
    } else {
      if (this.#gather.length === 0) this.#gather = new Uint8Array(limits.MAX_DATA);
      this.#gather.set(bytes, this.#gathered);
    }
    this.#gathered += bytes.length;
    if (this.#rawLength !== undefined || this.#gathered < RAW_LENGTH_BYTES) return undefined;
    const rawLength = getU32(this.#whole ?? this.#gather, 0);
    if (rawLength < 1 || rawLength > limits.MAX_RAW) {
      throw new ProtocolError(
        `Got a compressed frame of ${rawLength} bytes, expected 1 to ${limits.MAX_RAW}`,
      );
    }
    return this.#rawLength = rawLength;
  }

  /**
   * The frame is complete.
   *
   * @returns its content, in memory of its own.
   * @throws {ProtocolError} when it cannot be decompressed to exactly the length that it gave.
   */
  end(): Uint8Array {
    const payload = this.#whole ?? this.#gather.subarray(0, this.#length);
    this.#whole = undefined;
    const expected = this.#rawLength!;
    let content: Uint8Array;
    try {
      content = this.#decompress(payload.subarray(RAW_LENGTH_BYTES), expected);
    } catch {
      throw new ProtocolError(
        `Got a compressed frame that does not contain ${expected} bytes of zstd`,
      );
    }
    if (content.length !== expected) {
      throw new ProtocolError(
        `Got a compressed frame of ${content.length} bytes that gave ${expected} as its length`,
      );
    }
    return content;
  }
}
