/**
 * The journal of the destination of a domain's migration: which effects on this host have to be undone.
 * Pure.
 *
 * @module
 */

/** How an image was created, and so how it is removed. */
export type ImageWay =
  /** As a volume of a storage pool of this host. */
  | "pool"
  /** As a volume of a transient pool over its directory. */
  | "directory"
  /** By qemu-img, as root. */
  | "file";

/** An image that vmferry creates. */
export interface ImageRecord {
  readonly path: string;
  readonly way: ImageWay;
  /** The pool of way `pool`. */
  readonly pool: string | null;
  readonly format: string;
  /** Virtual size, bytes. */
  readonly sizeBytes: number;
  /** When its creation began, ms since 1970; `null` before. */
  readonly begunAt: number | null;
  /** What distinguishes it from another file with its path; `null` before it was created. */
  readonly identity: string | null;
}

/** A record: the whole state, so that the last one counts. */
export interface DomainRecord {
  /** Version of this shape. */
  readonly version: 1;
  /** Whose record it is. */
  readonly side: "destination";
  /** The source's name of this migration. */
  readonly migration: string;
  /** The domain's name here. */
  readonly name: string;
  /** The domain's UUID. */
  readonly uuid: string;
  /** URI of the libvirt that runs it. */
  readonly uri: string;
  /** The last step that has begun. */
  readonly state: "preparing" | "prepared" | "migrated" | "failed";
  /** libvirt was asked to start the guest here, or may have been. */
  readonly mayHaveRun: boolean;
  /** When libvirt was asked to start the guest here, ms since 1970. */
  readonly askedAt?: number;
  /** Paths of all images that libvirt writes here, also of those that existed. */
  readonly paths?: readonly string[];
  /** Directory of QEMU's sockets. */
  readonly socketDir: string;
  /** Directories that vmferry makes for images, the outermost first. */
  readonly directories: readonly string[];
  /** A pool that vmferry creates for the time of creating volumes in a directory. */
  readonly transientPool: string;
  /** The images that vmferry creates. */
  readonly images: readonly ImageRecord[];
}

/** Where the records are kept. */
export interface DomainJournal {
  /** Adds a record; it is on the disk when this resolves. */
  write(record: DomainRecord): Promise<void>;
}

/**
 * The record in a line of a journal; `undefined` where it belongs to something else than a destination.
 *
 * @throws {Error} when this version does not understand it.
 */
export function parseDomainRecord(value: unknown): DomainRecord | undefined {
  const record = Object(value) as DomainRecord;
  if (record.side !== "destination") return undefined;
  const isWhole = record.version === 1 &&
    ["migration", "name", "uuid", "uri", "state", "socketDir", "transientPool"]
      .every((member) => typeof record[member as keyof DomainRecord] === "string") &&
    typeof record.mayHaveRun === "boolean" &&
    Array.isArray(record.directories) && Array.isArray(record.images);
  if (!isWhole) throw new Error("it is from another version of vmferry");
  return record;
}
