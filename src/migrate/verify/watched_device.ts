import type {
  BlockDevice,
  BlockExtent,
  ByteRange,
  StatusOptions,
  WriteOptions,
  ZeroOptions,
} from "../../nbd/mod.ts";
import type { DiskProof } from "./disk_proof.ts";

/** Notes each write of a mirror. */
export type WriteWatch = Pick<DiskProof, "changed" | "trimmed">;

/**
 * The destination's disk, as a mirror writes to it. The watch hears of every write twice: before it is sent, so
 * that no comparison that has begun is believed, and once its outcome is known, for those that have begun
 * meanwhile. A write that has failed may have been carried out all the same.
 */
export class WatchedDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly blockSize: BlockDevice["blockSize"];
  readonly can: BlockDevice["can"];
  readonly #device: BlockDevice;
  readonly #watch: WriteWatch;

  /** @param device owned by this device. */
  constructor(device: BlockDevice, watch: WriteWatch) {
    this.#device = device;
    this.#watch = watch;
    this.sizeBytes = device.sizeBytes;
    this.readOnly = device.readOnly;
    this.blockSize = device.blockSize;
    this.can = device.can;
  }

  read(offset: number, into: Uint8Array): Promise<readonly ByteRange[]> {
    return this.#device.read(offset, into);
  }

  async write(offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
    const range = { offset, length: bytes.length };
    this.#watch.changed(range);
    try {
      await this.#device.write(offset, bytes, options);
    } finally {
      this.#watch.changed(range);
    }
  }

  async writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    this.#watch.changed({ offset, length });
    try {
      await this.#device.writeZeroes(offset, length, options);
    } finally {
      this.#watch.changed({ offset, length });
    }
  }

  async trim(offset: number, length: number, options?: WriteOptions): Promise<void> {
    this.#watch.trimmed({ offset, length });
    try {
      await this.#device.trim(offset, length, options);
    } finally {
      this.#watch.trimmed({ offset, length });
    }
  }

  flush(): Promise<void> {
    return this.#device.flush();
  }

  cache(offset: number, length: number): Promise<void> {
    return this.#device.cache(offset, length);
  }

  blockStatus(
    offset: number,
    length: number,
    options?: StatusOptions,
  ): Promise<readonly BlockExtent[]> {
    return this.#device.blockStatus(offset, length, options);
  }

  close(): Promise<void> {
    return this.#device.close();
  }
}
