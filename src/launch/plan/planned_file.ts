/**
 * The files of a machine at both ends: shapes, and what the destination is asked about each. Pure.
 *
 * @module
 */
import type { StorageKeys } from "../../migrate/mod.ts";
import type { LaunchFile } from "../../rpc/mod.ts";
import type { GuestImage } from "../description.ts";

/**
 * What a file is for. `copied`: a disk that is mirrored. `shared`: a disk that both hosts share. `kept`:
 * a disk that is written and neither copied nor shared. `content`: only read, such as a CD or a kernel.
 * `base`: the image below one that is copied alone.
 * `needed`: a directory, device, program, or socket of another process, which the destination must have. `socket`: QEMU listens there. `output`: QEMU writes it, such
 * as a log. `cwd`: QEMU's working directory.
 */
export type FileUse =
  | "copied"
  | "shared"
  | "kept"
  | "content"
  | "base"
  | "needed"
  | "socket"
  | "output"
  | "cwd";

/** A file that QEMU opens. */
export interface PlannedFile {
  /** The disk's name, else the option with the path; unique. */
  readonly name: string;
  readonly use: FileUse;
  /** Absolute path at the source. */
  readonly from: string;
  /** Absolute path at the destination. */
  readonly to: string;
  /** Set for an image. */
  readonly image: GuestImage | null;
}

/** What the source knows of a file of its own. Sizes in bytes. */
export interface SourceFile {
  /** It is a file; otherwise a device, a directory, or missing. */
  readonly isFile: boolean;
  readonly sizeBytes: number | null;
  /** Bytes that it takes in its file system; `null` where unknown. */
  readonly allocatedBytes: number | null;
  /** Permission bits. */
  readonly mode: number;
  /** SHA-256 in hexadecimal digits; `null` where it was not asked for or the file cannot be read. */
  readonly sha256: string | null;
  readonly storage: StorageKeys;
}

/** What the destination is asked about a file. */
export function asked(file: PlannedFile, source: SourceFile | undefined): LaunchFile {
  const { name, to: path, use, image } = file;
  switch (use) {
    case "copied":
    case "shared":
    case "kept":
      return {
        ...{ name, path, role: "disk", format: image?.format ?? "" },
        ...{ sizeBytes: image?.virtualSize ?? null, sha256: null },
      };
    case "content":
    case "base":
      return {
        ...{ name, path, role: "read-only", format: image?.format ?? "" },
        ...{ sizeBytes: source?.sizeBytes ?? null, sha256: source?.sha256 ?? null },
      };
    case "cwd":
      return { name, path, role: "directory", format: "", sizeBytes: null, sha256: null };
    case "needed":
    case "socket":
    case "output":
      return { name, path, role: "read-only", format: "", sizeBytes: null, sha256: null };
  }
}
