import type {
  BlockDevice,
  BlockExtent,
  ByteRange,
  StatusOptions,
  WriteOptions,
  ZeroOptions,
} from "./device.ts";

/** A device in front of another one, to which it passes every request on: a base for those that change some. */
export class WrappedDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly blockSize: BlockDevice["blockSize"];
  readonly can: BlockDevice["can"];
  /** What the requests are passed on to. */
  protected readonly device: BlockDevice;

  /**
   * Says of itself what `device` says.
   *
   * @param device owned by this device.
   * @param can what is offered. Default: as `device`.
   */
  constructor(device: BlockDevice, can = device.can) {
    this.device = device;
    this.sizeBytes = device.sizeBytes;
    this.readOnly = device.readOnly;
    this.blockSize = device.blockSize;
    this.can = can;
  }

  /** As {@link BlockDevice.read}. */
  read(offset: number, into: Uint8Array): Promise<readonly ByteRange[]> {
    return this.device.read(offset, into);
  }

  /** As {@link BlockDevice.write}. */
  write(offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.device.write(offset, bytes, options);
  }

  /** As {@link BlockDevice.writeZeroes}. */
  writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    return this.device.writeZeroes(offset, length, options);
  }

  /** As {@link BlockDevice.trim}. */
  trim(offset: number, length: number, options?: WriteOptions): Promise<void> {
    return this.device.trim(offset, length, options);
  }

  /** As {@link BlockDevice.flush}. */
  flush(): Promise<void> {
    return this.device.flush();
  }

  /** As {@link BlockDevice.cache}. */
  cache(offset: number, length: number): Promise<void> {
    return this.device.cache(offset, length);
  }

  /** As {@link BlockDevice.blockStatus}. */
  blockStatus(
    offset: number,
    length: number,
    options?: StatusOptions,
  ): Promise<readonly BlockExtent[]> {
    return this.device.blockStatus(offset, length, options);
  }

  /** As {@link BlockDevice.close}. */
  close(): Promise<void> {
    return this.device.close();
  }
}
