import {
  type BlockDevice,
  WrappedDevice,
  type WriteOptions,
  type ZeroOptions,
} from "../../nbd/mod.ts";
import type { DiskProof } from "./disk_proof.ts";

/** Notes each write of a mirror. */
export type WriteWatch = Pick<DiskProof, "changed" | "trimmed">;

/**
 * The destination's disk, as a mirror writes to it. The watch hears of every write twice: before it is sent, so
 * that no comparison that has begun is believed, and once its outcome is known, for those that have begun
 * meanwhile. A write that has failed may have been carried out all the same.
 */
export class WatchedDevice extends WrappedDevice {
  readonly #watch: WriteWatch;

  /** @param device owned by this device. */
  constructor(device: BlockDevice, watch: WriteWatch) {
    super(device);
    this.#watch = watch;
  }

  override async write(offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
    const range = { offset, length: bytes.length };
    this.#watch.changed(range);
    try {
      await this.device.write(offset, bytes, options);
    } finally {
      this.#watch.changed(range);
    }
  }

  override async writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    this.#watch.changed({ offset, length });
    try {
      await this.device.writeZeroes(offset, length, options);
    } finally {
      this.#watch.changed({ offset, length });
    }
  }

  override async trim(offset: number, length: number, options?: WriteOptions): Promise<void> {
    this.#watch.trimmed({ offset, length });
    try {
      await this.device.trim(offset, length, options);
    } finally {
      this.#watch.trimmed({ offset, length });
    }
  }
}
