import type { FrameBuffer } from "../connection/buffers.ts";

/** A sequenced frame, until it is acknowledged. */
export class OutFrame {
  /** All of it, header and payload. */
  readonly bytes: Uint8Array;
  /** Session offset behind it, once its place in the sequence is fixed. */
  end = 0;
  #buffer: Pick<FrameBuffer, "release"> | undefined;

  /**
   * A frame that was not sent yet.
   *
   * @param buffer the reusable buffer in which the bytes lie, if any.
   */
  constructor(bytes: Uint8Array, buffer?: Pick<FrameBuffer, "release">) {
    this.bytes = bytes;
    this.#buffer = buffer;
  }

  /** The bytes are not needed any more. */
  release(): void {
    this.#buffer?.release();
    this.#buffer = undefined;
  }
}
