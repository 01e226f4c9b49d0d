import type { FrameBuffer } from "../connection/buffers.ts";

/** A sequenced frame, until it is acknowledged. */
export class OutFrame {
  /** Bytes of the stream that a DATA frame carries. */
  readonly rawLength: number;
  /** It is being compressed and cannot be sent yet. */
  pending = false;
  /** Session offset behind it, once its place in the sequence is fixed. */
  end = 0;
  #bytes: Uint8Array;
  #buffer: Pick<FrameBuffer, "release"> | undefined;

  /**
   * A frame that was not sent yet.
   *
   * @param buffer the reusable buffer in which the bytes lie, if any.
   */
  constructor(bytes: Uint8Array, buffer?: Pick<FrameBuffer, "release">, rawLength = 0) {
    this.#bytes = bytes;
    this.#buffer = buffer;
    this.rawLength = rawLength;
  }

  /** All of it, header and payload. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Other bytes for the same content; for a frame that was not sent yet. */
  replace(bytes: Uint8Array): void {
    this.release();
    this.#bytes = bytes;
  }

  /** The bytes are not needed any more. */
  release(): void {
    this.#buffer?.release();
    this.#buffer = undefined;
  }
}
