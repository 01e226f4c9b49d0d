import { BLOCK_BYTES, takeSample } from "../../migrate/mod.ts";
import type { DomainImage } from "../../rpc/mod.ts";
import type { FileReader } from "./options.ts";

/** Length and blocks of a file of this host. */
export interface FileSample {
  /** Bytes; `null` for a device. */
  readonly sizeBytes: number | null;
  readonly sample: DomainImage["sample"];
}

/**
 * Picks blocks of a file, so that the destination can tell whether its own is the same.
 *
 * @throws the file system's error.
 */
export async function sampleFile(
  path: string,
  files: FileReader,
  random: () => number,
): Promise<FileSample> {
  const sizeBytes = await files.length(path);
  if (sizeBytes === null) return { sizeBytes, sample: null };
  const { offsets, hashes } = await takeSample({
    sizeBytes,
    read: (offset, length) => files.read(path, offset, length),
    extents: (offset, length) => Promise.resolve([{ offset, length, isData: true }]),
  }, random);
  const sample = offsets.length === 0
    ? null
    : { blockBytes: BLOCK_BYTES, offsets: [...offsets], hashes: [...hashes] };
  return { sizeBytes, sample };
}
