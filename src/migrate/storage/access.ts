import type { BytePipe, Clock, Logger } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { DescribeHost } from "./host_facts.ts";

/**
 * The processes of vmferry, by the marks in the names of their exports. A QEMU may have several QMP sockets, so
 * that several processes may use it at a time.
 */
export interface Processes {
  /** The mark of this process: eight characters, the same as long as it runs. Never rejects. */
  own(): Promise<string>;
  /**
   * Finds which of these processes still run on this host.
   *
   * @returns by their marks, words for the user such as `vmferry migrate (process 4711)`.
   * @throws {Error} when the processes cannot be listed: what they have made must stay.
   */
  running(marks: ReadonlySet<string>): Promise<ReadonlyMap<string, string>>;
}

/** What a look at a QEMU's storage needs from the host. */
export interface HostAccess {
  /** Tells what a killed process has left in QEMU from what a running one uses. */
  readonly processes: Processes;
  /** Reports what the host knows of paths. */
  readonly describeHost: DescribeHost;
  /** Connects to a UNIX socket. */
  readonly connectUnix: (path: string) => Promise<BytePipe>;
  /** Connects to a TCP port. */
  readonly connectTcp: (host: string, port: number) => Promise<BytePipe>;
  /** Tolerates a missing file. */
  readonly removeFile: (path: string) => Promise<void>;
}

/** A directory for sockets, which only vmferry and QEMU can enter. */
export interface RunDir {
  /** The absolute path of a file in it. */
  path(name: string): string;
}

/** What a look at a QEMU's storage needs. */
export interface StorageAccess extends HostAccess {
  readonly qmp: QmpClient;
  /** UNIX socket for QEMU's NBD server, which listens only during the comparison. */
  readonly socketPath: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** File name of that socket in the run directory. */
export const COMPARE_SOCKET = "compare.sock";
