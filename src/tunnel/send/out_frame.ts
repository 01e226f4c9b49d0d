import type { FrameBuffer } from "../connection/buffers.ts";

/** A sequenced frame from when it is made until it is acknowledged. */
export class OutFrame {
  /** All of it, header and payload. */
  readonly bytes: Uint8Array;
  /** Session offset behind it, once it has its place in the session's order. */
  end = 0;
  #buffer: Pick<FrameBuffer, "release"> | undefined;

  /** @param buffer what the bytes lie in, where that is used again. */
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
