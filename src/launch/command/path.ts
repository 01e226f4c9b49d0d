/**
 * Paths in a command line. Shapes only.
 *
 * @module
 */

/**
 * - `image`: a disk image, a file or block device.
 * - `read-only`: a file or medium that QEMU only reads, such as a CD, firmware or a kernel.
 * - `socket`: a UNIX socket.
 * - `output`: a file that QEMU creates, such as a log or the file behind RAM.
 * - `directory`: a directory with files that QEMU reads or writes.
 * - `config`: a configuration file of the host or of QEMU, such as ceph.conf.
 * - `device`: a device node of the host.
 * - `program`: a program or code that QEMU runs or loads.
 */
export type PathKind =
  | "image"
  | "read-only"
  | "socket"
  | "output"
  | "directory"
  | "config"
  | "device"
  | "program";

/** What a path is for. */
export interface PathUse {
  readonly kind: PathKind;
  /** QEMU writes to it. */
  readonly writable: boolean;
  /** QEMU connects to this socket when it starts, and fails if no process listens there. */
  readonly connects: boolean;
  /** QEMU connects to this socket, and tries again while no process listens there. */
  readonly retries: boolean;
  /** QEMU looks for a bare name in its data directories, too, where it usually finds it. */
  readonly searched: boolean;
}

/** A path in a command line. */
export interface CommandPath extends PathUse {
  /** Index of the option. */
  readonly index: number;
  /** Its name, such as `drive`. */
  readonly option: string;
  /** The key that has the path, such as `file.filename`; empty where the value is the path. */
  readonly key: string;
  /** As written: absolute, or relative to QEMU's working directory. */
  readonly path: string;
}

/** Takes a path and returns the one to put in its place. */
export type VisitPath = (path: string, use: PathUse) => string;

/** The same with the key that has the path; empty where the option's value is the path. */
export type VisitKey = (path: string, use: PathUse, key: string) => string;

/** A use with the given kind; QEMU writes to images, sockets and outputs. */
export function use(kind: PathKind, more: Partial<PathUse> = {}): PathUse {
  const writable = kind === "image" || kind === "socket" || kind === "output";
  return { kind, writable, connects: false, retries: false, searched: false, ...more };
}
