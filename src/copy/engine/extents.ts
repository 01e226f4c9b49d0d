/**
 * What a device has to be read for. Sizes in bytes.
 *
 * @module
 */
import type { BlockDevice } from "../../nbd/mod.ts";

/** Range of one request for the block status. */
const STATUS_BYTES = 1024 ** 3;

/** A part of a device. */
export interface Part {
  /** Where it begins. */
  readonly offset: number;
  /** How long it is. */
  readonly length: number;
  /** It reads as zeroes, and need not be read. */
  readonly zero: boolean;
}

/**
 * The parts of a device from `from` on, in order; all of it counts as data where the device has no block status.
 *
 * @throws as the device's `blockStatus`.
 */
export async function* partsOf(
  device: Pick<BlockDevice, "blockStatus" | "can" | "sizeBytes">,
  from: number,
): AsyncGenerator<Part> {
  const { sizeBytes } = device;
  if (!device.can.blockStatus) {
    if (from < sizeBytes) yield { offset: from, length: sizeBytes - from, zero: false };
    return;
  }
  for (let offset = from; offset < sizeBytes;) {
    const extents = await device.blockStatus(offset, Math.min(STATUS_BYTES, sizeBytes - offset));
    // A server may split what is alike: requests would be small.
    let length = 0;
    for (const [i, extent] of extents.entries()) {
      length += extent.length;
      const { zero } = extent;
      if (length === 0 || extents[i + 1]?.zero === zero) continue;
      yield { offset, length, zero };
      offset += length;
      length = 0;
    }
  }
}

/** Bytes of a device before `end` that are not known to be zeroes. Throws as {@link partsOf}. */
export async function dataBytes(
  device: Pick<BlockDevice, "blockStatus" | "can" | "sizeBytes">,
  signal: AbortSignal,
  end: number = device.sizeBytes,
): Promise<number> {
  let sum = 0;
  for await (const { offset, length, zero } of partsOf(device, 0)) {
    signal.throwIfAborted();
    if (offset >= end) break;
    if (!zero) sum += Math.min(length, end - offset);
  }
  return sum;
}
