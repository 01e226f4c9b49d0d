/**
 * The calls of a launch: the source has the destination build a machine like its own and start QEMU
 * (docs/tunnel-protocol.md, section 8). The destination offers them with `receive --launch` only, each
 * from the source to the destination, before `prepare`. Since vmferry 1.1. Sizes in bytes.
 *
 * @module
 */
import {
  flag,
  integer,
  list,
  nullable,
  object,
  record,
  type Schema,
  text,
  type TypeOf,
  word,
} from "./schema.ts";
import { message, migrationId, name, storageKey } from "./shapes.ts";

const path = text(4096);
const format = text(64);
/** A SHA-256 in hexadecimal digits. */
const digest = text(64);
/** Most files of a guest. */
const MAX_FILES = 1024;
/** Most arguments of a command line; one may have {@link MAX_ARGUMENT} UTF-16 code units. */
const MAX_ARGUMENTS = 4096;
const MAX_ARGUMENT = 65536;

/** A file that the guest's QEMU opens, by its path at the destination. */
const launchFile = object({
  /** The disk's name, else the option that has the path, such as `kernel`. Unique in a call. */
  name,
  path,
  /**
   * `disk`: an image that is written. `read-only`: it must have the same content. `directory`: QEMU
   * makes a file in it, such as a socket.
   */
  role: word("disk", "read-only", "directory"),
  /** Image format; empty for a file that is no image. */
  format,
  /** Virtual size of a disk, length of a file; `null` where unknown. */
  sizeBytes: nullable(integer()),
  /** SHA-256 of a read-only file at the source; `null` where it need not be compared. */
  sha256: nullable(digest),
});

const launchFileFacts = object({
  name,
  state: word("missing", "file", "block", "directory", "other"),
  /** Virtual size of an image; `null` where unknown. */
  sizeBytes: nullable(integer()),
  /** Length of the file or device; `null` where unknown. */
  fileBytes: nullable(integer()),
  format: nullable(format),
  /** The file's SHA-256; `null` unless the request had one and the lengths are equal. */
  sha256: nullable(digest),
  /** Names of its storage, empty where it is missing. */
  keys: list(storageKey, 64),
  beneath: list(storageKey, 64),
  /** A process of this host that has it open, such as `qemu-system-x86 (pid 4711)`. */
  usedBy: nullable(message),
  /** The directory that it would lie in exists. */
  directory: flag,
  /** This end can create it, or write to it if it is there. */
  writable: flag,
  /** Free bytes of that directory's file system; `null` where unknown. */
  freeBytes: nullable(integer()),
  /** Why this end could not look at it, or may not create it. */
  problem: nullable(message),
});

/** An image that is to be created; it must be missing. */
const launchImage = object({
  name,
  path,
  format,
  /** Virtual size. */
  sizeBytes: integer(),
  /** qcow2 only; `null`: the default of this end's tools. */
  clusterBytes: nullable(integer(512, 1 << 21)),
  compat: nullable(text(16)),
  extendedL2: flag,
  lazyRefcounts: flag,
  /** The source's raw file is allocated as a whole. */
  allocated: flag,
  backing: nullable(object({ path, format })),
  /** Permission bits of the source's file. */
  mode: integer(0, 0o777),
});

/** A file whose content the source sends, in a stream to `channel`. */
const launchCopy = object({
  name,
  path,
  /** Channel of the stream, such as `file-0`. */
  channel: text(64),
  sizeBytes: integer(),
  sha256: digest,
  mode: integer(0, 0o777),
});

/** How QEMU is started. */
const launchStart = object({
  /**
   * The command line, translated: the name of the binary, such as `qemu-system-x86_64`, and its arguments.
   * Empty where the destination starts its QEMU by a command of its user.
   */
  argv: list(text(MAX_ARGUMENT), MAX_ARGUMENTS),
  /** Working directory. */
  cwd: path,
  /** Variables that the source's QEMU was started with and that matter to it. */
  environment: record(text(MAX_ARGUMENT), 256),
  /** User and group that it runs as, by name; `null`: the user of this vmferry. */
  user: nullable(object({ user: text(256), group: text(256) })),
  /**
   * User and group that own what is created, by name, where QEMU changes its user by itself (`-runas`);
   * `null`: those of `user`.
   */
  owner: nullable(object({ user: text(256), group: text(256) })),
  /** The QMP socket that this vmferry uses; one of `argv`, where that is not empty. */
  qmp: path,
  /** `systemd`: a transient unit where systemd runs, else as `daemon`: a process of its own. */
  manager: word("systemd", "daemon"),
  /** A unit that starts the guest at boot is made once it runs here. */
  persist: flag,
});

/** The calls, each from the source to the destination. */
export const launchProcedures = {
  /** Asks for the host and its QEMU. Changes nothing. */
  describeLaunchHost: {
    params: object({
      /** Name of the source's binary, such as `qemu-system-x86_64`. */
      binary: text(256),
      /** The source's path of it. */
      path,
      /** Machine type, such as `pc-q35-7.2`; empty where unknown. */
      machine: text(128),
      /** The user and group that QEMU runs as, by name; `null`: not asked. */
      user: nullable(object({ user: text(256), group: text(256) })),
    }),
    result: object({
      hostname: text(256),
      /** As `uname -m` prints it. */
      architecture: text(64),
      /** The binary that would run; `null` where there is none. */
      qemu: nullable(object({
        path,
        /** Such as `10.0.2`. */
        version: text(128),
        /** It has the machine type; `null` where that was not asked. */
        hasMachine: nullable(flag),
      })),
      /** Version of qemu-img; `null` where there is none. */
      qemuImg: nullable(text(128)),
      /** systemd is this host's init, and this user may start units. */
      systemd: flag,
      user: object({ uid: integer(0, 2 ** 32), name: text(256) }),
      /** Why QEMU cannot run as the user in the request; `null`: it can. */
      userProblem: nullable(message),
      /** Why this end starts no QEMU that a source describes; `null`: it does. */
      refusal: nullable(message),
      /**
       * This end starts a QEMU of its own, by a command of its user, in place of `argv`; `null`: it starts
       * `argv`.
       */
      site: nullable(object({
        /** The command, for people. */
        start: text(MAX_ARGUMENT),
        /** How long it may take, and QEMU to answer after it, ms. */
        timeoutMs: integer(),
      })),
    }),
  },
  /** Asks for files, by their paths at this end. Changes nothing. */
  describeLaunchFiles: {
    params: object({ files: list(launchFile, MAX_FILES) }),
    result: object({
      /** In the order of the request. */
      files: list(launchFileFacts, MAX_FILES),
    }),
  },
  /**
   * Creates directories and images, and serves the channels of the copies. Refuses, with everything
   * undone, when one of them cannot be created. The end of the session without a migration undoes it.
   */
  prepareLaunch: {
    params: object({
      migration: migrationId,
      guest: object({ name: nullable(name), uuid: nullable(text(64)) }),
      /** Directories that must exist for QEMU's own files, such as sockets. Missing ones are created. */
      directories: list(path, MAX_FILES),
      images: list(launchImage, MAX_FILES),
      copies: list(launchCopy, MAX_FILES),
      /** Existing images that are overwritten. */
      reuse: list(object({ name, path }), MAX_FILES),
      start: launchStart,
    }),
    result: object({
      /** Paths that were created. */
      created: list(path, 4 * MAX_FILES),
    }),
  },
  /**
   * Starts QEMU once all copies have arrived whole, and waits for its QMP. After it the calls of a
   * migration are served in this session. Refuses, with everything undone.
   */
  startLaunch: {
    params: object({ migration: migrationId }),
    result: object({
      /** Such as `unit vmferry-vm1.service` or `process 4711`. */
      started: text(1024),
      /** File or journal with QEMU's output. */
      log: text(4096),
      /** The command that recovers this migration at the destination. */
      recover: message,
    }),
  },
} as const satisfies Record<string, { params: Schema<unknown>; result: Schema<unknown> }>;

/** A file in `describeLaunchFiles`. */
export type LaunchFile = TypeOf<typeof launchFile>;
/** What the destination knows of it. */
export type LaunchFileFacts = TypeOf<typeof launchFileFacts>;
/** An image in `prepareLaunch`. */
export type LaunchImage = TypeOf<typeof launchImage>;
/** A file that is sent. */
export type LaunchCopy = TypeOf<typeof launchCopy>;
/** How QEMU is started. */
export type LaunchStart = TypeOf<typeof launchStart>;
