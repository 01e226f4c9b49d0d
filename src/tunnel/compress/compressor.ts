/** The outcome for one piece. */
export interface Compressed {
  /** The zstd frame, with `room` bytes in front; `undefined` when it was not worth sending. */
  readonly bytes: Uint8Array | undefined;
  /** How long the compressor took, ms; 0 when it failed. */
  readonly tookMs: number;
}

/** Compresses pieces one after the other, beside the thread of the session. */
export interface Compressor {
  /** It has failed: pieces come back as they are. */
  readonly failed: boolean;
  /** Pieces that were given to it and are not back. */
  readonly jobs: number;
  /**
   * Compresses `raw`, which it copies within the call.
   *
   * @param room bytes to leave in front of the result.
   * @param done called once, in the order of the calls, never within the call. Must not throw.
   */
  compress(raw: Uint8Array, room: number, done: (result: Compressed) => void): void;
  /** Ends it; what it has not done comes back as it is. */
  close(): void;
}

/** What a session compresses with. */
export interface Compression {
  /** `on`: everything that shrinks. `auto`: only what has to wait for the connection anyway. */
  readonly mode: "auto" | "on";
  /** Starts a compressor; called once for each lane that has something to compress. Must not throw. */
  readonly start: () => Compressor;
}
