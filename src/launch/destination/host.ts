/**
 * What the destination of a launch needs of its host.
 *
 * @module
 */
import type { BytePipe, Clock, Logger } from "../../io/mod.ts";
import type { RunProgram, StartProgram } from "../../host/mod.ts";
import type { DescribeHost } from "../../migrate/mod.ts";

/** A file that this process has created; nobody else writes to it. */
export interface NewFile {
  /** Adds bytes at its end. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when all bytes are on the disk. */
  sync(): Promise<void>;
  /** Releases it. Safe to call twice. */
  close(): void;
}

/** The destination's host, injected. */
export interface LaunchHost {
  /** Runs a program of the host. */
  readonly run: RunProgram;
  /** Starts a program that may outlive vmferry. */
  readonly start: StartProgram;
  /** Reports what the host knows of paths. */
  readonly describeHost: DescribeHost;
  /** Connects to a UNIX socket. */
  readonly connectUnix: (path: string) => Promise<BytePipe>;
  /**
   * Creates a file that must not exist, for its owner alone.
   *
   * @throws {Error} with the system's words when it exists or cannot be created.
   */
  readonly createFile: (path: string) => Promise<NewFile>;
  /** The user that vmferry runs as. */
  readonly user: { readonly uid: number; readonly name: string };
  /** Directory of the started guests' command lines, such as `/var/lib/vmferry`; may be missing. */
  readonly stateDir: string;
  /** Directory of the log files of QEMUs without a unit, such as `/var/log/vmferry`; may be missing. */
  readonly logDir: string;
  /** The user's home directory; `undefined` where it has none. */
  readonly home: string | undefined;
  /** ms since 1970. */
  readonly wallMs: () => number;
  /** The time. */
  readonly clock: Clock;
  /** Gets diagnostics. */
  readonly log: Logger;
}
