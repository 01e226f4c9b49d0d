/**
 * An image's own facts, as `qemu-img info --output=json` prints them.
 *
 * @module
 */

/** An image. Sizes in bytes. */
export interface ImageInfo {
  /** Such as `qcow2`. */
  readonly format: string;
  /** The size that a guest sees. */
  readonly virtualSize: number;
  /** Bytes that it takes in its file system; `null` where unknown. */
  readonly actualSize: number | null;
  /** Bytes of a cluster of qcow2. */
  readonly clusterSize: number | null;
  /** Version of qcow2: `0.10`, `1.1`. */
  readonly compat: string | null;
  /** qcow2 with subclusters. */
  readonly extendedL2: boolean;
  /** qcow2 that writes its reference counts late. */
  readonly lazyRefcounts: boolean;
  /** QEMU encrypts it with a secret. */
  readonly encrypted: boolean;
  /** qcow2 whose data lies in this second file. */
  readonly dataFile: string | null;
  /** The image below, with its full path where QEMU knows it. */
  readonly backing: { readonly path: string; readonly format: string | null } | null;
}

/** A text that is not qemu-img's. */
export class ImageInfoError extends Error {
  /** The class, also in a bundle. */
  override name = "ImageInfoError";
}

/** Arguments that make qemu-img print it. `-U`: also while a QEMU has locked the image. */
export function imageInfoArguments(path: string, format: string | null): string[] {
  return [
    "qemu-img",
    "info",
    "--output=json",
    "-U",
    ...(format === null ? [] : ["-f", format]),
    "--",
    path,
  ];
}

/**
 * Parses the output of {@link imageInfoArguments}.
 *
 * @throws {ImageInfoError} when it is malformed, or has no format or virtual size.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const info = parseImageInfo('{"virtual-size": 1048576, "format": "raw", "actual-size": 4096}');
 * assertEquals([info.format, info.virtualSize, info.backing], ["raw", 1048576, null]);
 * ```
 */
export function parseImageInfo(json: string): ImageInfo {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new ImageInfoError("qemu-img info printed no JSON", { cause });
  }
  const info = record(value);
  const format = string(info["format"]);
  const virtualSize = size(info["virtual-size"]);
  if (format === null || virtualSize === null) {
    throw new ImageInfoError("qemu-img info printed no format or no virtual size");
  }
  const data = record(record(info["format-specific"])["data"]);
  const backing = string(info["full-backing-filename"]) ?? string(info["backing-filename"]);
  return {
    format,
    virtualSize,
    actualSize: size(info["actual-size"]),
    clusterSize: size(info["cluster-size"]),
    compat: string(data["compat"]),
    extendedL2: data["extended-l2"] === true,
    lazyRefcounts: data["lazy-refcounts"] === true,
    encrypted: info["encrypted"] === true,
    dataFile: string(data["data-file"]),
    backing: backing === null
      ? null
      : { path: backing, format: string(info["backing-filename-format"]) },
  };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function string(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function size(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
}
