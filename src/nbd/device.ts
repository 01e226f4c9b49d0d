/** What an NBD server serves and what an NBD client is: a range of bytes with a few operations. */
export interface BlockDevice {
  /** Bytes. */
  readonly sizeBytes: number;
  /** Writing requests fail with EPERM. */
  readonly readOnly: boolean;
  /** What requests must be multiples of, and how long they may be. */
  readonly blockSize: BlockSize;
  /** What it supports besides reads and writes. */
  readonly can: Abilities;
  /**
   * Fills `into` from `offset`, 32 MiB at most.
   *
   * @returns ranges of the export that are known to be holes: zeroes in `into`, sorted, inside the
   * range. Often empty, also for a device that has holes.
   * @throws {NbdDeviceError} with the error for the client.
   * @throws {NbdError} when the device is lost: a server hangs up. Any other error becomes EIO.
   */
  read(offset: number, into: Uint8Array): Promise<readonly ByteRange[]>;
  /** Writes `bytes`, 32 MiB at most. They must not change until the promise settles. Throws as `read`. */
  write(offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void>;
  /** Makes the range read as zeroes; of any length. Only if `can.writeZeroes`. Throws as `read`. */
  writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void>;
  /** A hint that the range is not needed any more; of any length. Only if `can.trim`. */
  trim(offset: number, length: number, options?: WriteOptions): Promise<void>;
  /** Resolves when every write that was answered before is on stable storage. Only if `can.flush`. */
  flush(): Promise<void>;
  /** A hint that the range will be read. Only if `can.cache`. */
  cache(offset: number, length: number): Promise<void>;
  /**
   * Extents from `offset` on (base:allocation); at least one, and they may end before the range does.
   * Only if `can.blockStatus`.
   */
  blockStatus(
    offset: number,
    length: number,
    options?: StatusOptions,
  ): Promise<readonly BlockExtent[]>;
  /** Waits for the requests under way, then releases the device. */
  close(): Promise<void>;
}

/** Size constraints (proto.md, "Size constraints"), bytes. */
export interface BlockSize {
  /** Alignment of every offset and length: a power of 2 from 1 to 65536. */
  readonly minimum: number;
  /** Requests that are multiples of it are efficient. */
  readonly preferred: number;
  /** Longest payload that the device takes in one piece; longer ones are split. */
  readonly maximum: number;
}

/** Operations that a device supports. */
export interface Abilities {
  /** `flush`; without it every answered write is on stable storage, or may be lost. */
  readonly flush: boolean;
  /** `fua` of {@link WriteOptions}. */
  readonly fua: boolean;
  /** `writeZeroes`. */
  readonly writeZeroes: boolean;
  /** `fast` of {@link ZeroOptions}. */
  readonly fastZero: boolean;
  /** `trim`. */
  readonly trim: boolean;
  /** `cache`. */
  readonly cache: boolean;
  /** A flush on one connection covers the writes of all. */
  readonly multiConn: boolean;
  /** `blockStatus`. */
  readonly blockStatus: boolean;
}

/** A range of an export, bytes. */
export interface ByteRange {
  /** Where it begins. */
  readonly offset: number;
  /** How long it is. */
  readonly length: number;
}

/** Options of everything that writes. */
export interface WriteOptions {
  /** Answer only when the data is on stable storage. */
  readonly fua?: boolean;
}

/** Options of `writeZeroes`. */
export interface ZeroOptions extends WriteOptions {
  /** Keep the range allocated. */
  readonly noHole?: boolean;
  /** Fail with ENOTSUP, and write nothing, unless it is faster than a write. */
  readonly fast?: boolean;
}

/** Options of `blockStatus`. */
export interface StatusOptions {
  /** One extent is enough. */
  readonly one?: boolean;
}

/** Consecutive bytes with the same allocation. */
export interface BlockExtent {
  /** Bytes. */
  readonly length: number;
  /** Not allocated. */
  readonly hole: boolean;
  /** Reads as zeroes. */
  readonly zero: boolean;
}
