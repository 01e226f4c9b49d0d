/**
 * The calls of a migration that libvirt drives (docs/tunnel-protocol.md, section 8). The destination
 * offers them with `receive --libvirt` only. Since vmferry 1.1. Sizes in bytes.
 *
 * @module
 */
import {
  flag,
  integer,
  list,
  nullable,
  object,
  type Schema,
  text,
  type TypeOf,
  word,
} from "./schema.ts";
import { message, migrationId, name, storageKey } from "./shapes.ts";

const path = text(4096);
const format = text(64);
/** Most images of a domain. */
const MAX_IMAGES = 1024;

/** A file or device of the domain, by its path at the source. */
const image = object({
  /** The disk's target, such as `vda`; for a file of another kind its element, such as `kernel`. */
  name,
  path,
  /** `disk`: it is to be written. `read-only`: it must be there already. */
  role: word("disk", "read-only"),
  format,
  /** Virtual size at the source; for a read-only file, its length. `null` where unknown. */
  sizeBytes: nullable(integer()),
  /** Blocks of the source's file, to compare; hashes are the first 16 bytes of SHA-256 as hexadecimal digits. */
  sample: nullable(object({
    blockBytes: integer(1, 1 << 20),
    offsets: list(integer(), 256),
    hashes: list(text(32), 256),
  })),
});

const imageFacts = object({
  name,
  state: word("missing", "file", "block", "other"),
  /** Virtual size; `null` where unknown. */
  sizeBytes: nullable(integer()),
  /** Length of the file or device; `null` where unknown. */
  fileBytes: nullable(integer()),
  format: nullable(format),
  /** Names of its storage, empty where it is missing. */
  keys: list(storageKey, 64),
  beneath: list(storageKey, 64),
  /** Another domain of this host that has it as a disk. */
  usedBy: nullable(text(256)),
  /** The storage pool of this host that the path belongs to. */
  pool: nullable(text(256)),
  /** The directory that it would lie in exists. */
  directory: flag,
  /** Free bytes of that directory's file system, or of the pool; `null` where unknown. */
  freeBytes: nullable(integer()),
  /** Whether the blocks of `sample` are equal; `null` where they were not compared. */
  sampleEqual: nullable(flag),
  /** Why this end could not look at it. */
  problem: nullable(message),
});

const imageToPrepare = object({
  name,
  path,
  /** It is missing and is created; else it exists and is only checked again. */
  create: flag,
  format,
  /** Virtual size. */
  sizeBytes: integer(),
  /** qcow2 only; `null`: the default of this end's tools. */
  clusterBytes: nullable(integer(512, 1 << 21)),
  compat: nullable(text(16)),
  extendedL2: flag,
  lazyRefcounts: flag,
  backing: nullable(object({ path, format })),
});

/** The calls, each from the source to the destination. */
export const domainProcedures = {
  /** Asks for the destination's libvirt and host. Changes nothing. Refuses with `libvirt-unreachable`. */
  describeDomainHost: {
    params: object({}),
    result: object({
      /** Version of the libvirt daemon, such as `9.0.0`. */
      libvirt: text(64),
      /** Version of its QEMU. */
      qemu: text(64),
      /** As `virsh capabilities` has it; libvirt refuses a migration between equal ones. */
      hostUuid: text(64),
      uri: text(1024),
      /** User that vmferry runs as at this end. */
      user: text(256),
      /** Directories, best first, in which this end can make a directory for QEMU's sockets. */
      socketDirs: list(path, 16),
      /** Network interfaces of the host, to find bridges. */
      interfaces: list(text(64), 4096),
      /** It answers `hashBlocks` with the name of an export. An older end does not say so. */
      hashes: nullable(flag),
    }),
  },
  /** Asks for the destination's side of the domain's files. Changes nothing. */
  describeImages: {
    params: object({
      /** The domain's UUID: its own disks at this end do not count as used. */
      uuid: text(64),
      images: list(image, MAX_IMAGES),
    }),
    result: object({
      /** In the order of the request. */
      images: list(imageFacts, MAX_IMAGES),
    }),
  },
  /**
   * Creates the missing images and the directory of QEMU's sockets, and serves the channels `ram` and
   * `nbd` from it. Refuses, with everything undone, when one of them cannot be created.
   */
  prepareDomain: {
    params: object({
      migration: migrationId,
      /** The domain's name at this end. */
      name,
      uuid: text(64),
      /** An absolute path that no one has yet, within one of `socketDirs`. */
      socketDir: path,
      images: list(imageToPrepare, MAX_IMAGES),
      /** The domain's own user and group, `USER:GROUP` as libvirt takes them; `null`: libvirt's. */
      owner: nullable(text(256)),
    }),
    result: object({
      /** Paths of the images that were created. */
      created: list(path, MAX_IMAGES),
      /** The command that shows and finishes this migration at this end. */
      recover: message,
    }),
  },
  /** Asks how the domain is at the destination. */
  domainStatus: {
    params: object({ uuid: text(64) }),
    result: object({
      state: word("absent", "shut-off", "running", "paused", "other"),
      /** libvirt's reason, such as `migrating`. */
      reason: text(128),
      /** Its QEMU still waits for the migration, or receives it. */
      incoming: flag,
      /** It ran at the destination after its migration and has ended; `state` is then `other`. */
      hasRun: nullable(flag),
    }),
  },
  /**
   * Ends the migration at the destination. `failed`: removes what `prepareDomain` has created, once no
   * domain uses it.
   */
  settleDomain: {
    params: object({ migration: migrationId, outcome: word("migrated", "failed") }),
    /** What could not be removed, for people. */
    result: object({ left: list(text(1024), 64) }),
  },
} as const satisfies Record<string, { params: Schema<unknown>; result: Schema<unknown> }>;

/** A file or device in `describeImages`. */
export type DomainImage = TypeOf<typeof image>;
/** What the destination knows of it. */
export type DomainImageFacts = TypeOf<typeof imageFacts>;
/** An image in `prepareDomain`. */
export type ImageToPrepare = TypeOf<typeof imageToPrepare>;
