import type { Clock } from "../../io/mod.ts";
import * as limits from "../limits.ts";
import type { OutFrame } from "../send/out_frame.ts";
import { putHeader } from "../wire/frame.ts";
import { DATA, FLAG_COMPRESSED, HEADER_LENGTH, RAW_LENGTH_BYTES } from "../wire/layout.ts";
import { putU32 } from "../wire/numbers.ts";
import type { Compression, Compressor } from "./compressor.ts";
import { Pays, type Waiting } from "./pays.ts";
import type { StreamGain } from "./stream_gain.ts";

export interface PackingOptions {
  readonly compression: Compression;
  readonly clock: Clock;
  readonly queue: Waiting;
}

/** A DATA frame that could be compressed. */
export interface Packable {
  readonly frame: OutFrame;
  readonly streamId: number;
  /** Bytes of the stream in front of it. */
  readonly offset: number;
  readonly gain: StreamGain;
  /** Called when a frame that was taken may be sent, compressed or as it is. */
  readonly onReady: () => void;
}

/**
 * Compresses DATA frames of a session on their way to the connection. A frame that does not shrink,
 * and each one once the compressor has failed, goes out as it is. Owned by the session.
 */
export class Packing {
  readonly #options: PackingOptions;
  readonly #pays: Pays;
  #compressor: Compressor | undefined;
  #stopped = false;

  constructor(options: PackingOptions) {
    this.#options = options;
    this.#pays = new Pays(options.queue);
  }

  /** Takes a frame, if it is to be compressed: it is pending until `onReady`. */
  take(packable: Packable): boolean {
    const { frame, streamId, gain, offset, onReady } = packable;
    const { compression, clock } = this.#options;
    const { rawLength } = frame;
    if (this.#stopped || rawLength < limits.MIN_COMPRESSED || !gain.wants(offset)) return false;
    const now = clock.now();
    if (compression.mode === "auto" && !this.#pays.now(now)) return false;
    const compressor = this.#compressor ??= compression.start();
    if (compressor.failed || compressor.jobs >= limits.MOST_COMPRESS_JOBS) return false;
    this.#pays.started(now);
    gain.started();
    frame.pending = true;
    const room = HEADER_LENGTH + RAW_LENGTH_BYTES;
    compressor.compress(frame.bytes.subarray(HEADER_LENGTH), room, ({ bytes, tookMs }) => {
      this.#pays.measured(rawLength, tookMs);
      gain.done(bytes !== undefined, offset + rawLength);
      if (!frame.pending) return;
      frame.pending = false;
      if (bytes) {
        putHeader(bytes, bytes.length - HEADER_LENGTH, DATA, FLAG_COMPRESSED, streamId);
        putU32(bytes, HEADER_LENGTH, rawLength);
        frame.replace(bytes);
      }
      onReady();
    });
    return true;
  }

  /** The session is over. */
  stop(): void {
    this.#stopped = true;
    this.#compressor?.close();
  }
}
