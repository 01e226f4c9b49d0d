/**
 * What the destination of a launch needs of its host.
 *
 * @module
 */
import type { BytePipe, Clock, Logger } from "../../io/mod.ts";
import type { RunProgram, StartProgram } from "../../host/mod.ts";
import type { DescribeHost } from "../../migrate/mod.ts";
import type { SiteRecord } from "./record.ts";

/** A file that this process has created; nobody else writes to it. */
export interface NewFile {
  /** Adds bytes at its end. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when all bytes are on the disk. */
  sync(): Promise<void>;
  /** Releases it. Safe to call twice. */
  close(): void;
}

/** A QEMU that commands of the user start and stop. */
export interface SiteQemuControl {
  /**
   * Makes sure that nobody answers on the QMP socket yet.
   *
   * @throws {MigrationError} kind `refused`, code `already-started`.
   */
  assertAbsent(): Promise<void>;
  /** Whether somebody listens on the QMP socket. */
  answers(): Promise<boolean>;
  /**
   * Starts QEMU; resolves when it listens on its QMP socket.
   *
   * @throws {MigrationError} code `start-failed`, or as {@link assertAbsent} does.
   * @throws the signal's reason when aborted; the command is killed by then.
   */
  start(signal: AbortSignal): Promise<void>;
  /**
   * Stops it; resolves when nobody listens any more. Never rejects.
   *
   * @returns why QEMU may still be there, as text.
   */
  stop(): Promise<string | undefined>;
}

/** A QEMU of {@link SiteRecord}. */
export interface SiteQemuOf extends SiteRecord {
  /** Path of its QMP socket. */
  readonly qmp: string;
  /** It was started already: `stop` stops it. */
  readonly begun: boolean;
}

/** The destination's host, injected. */
export interface LaunchHost {
  /** Runs a program of the host. */
  readonly run: RunProgram;
  /** Starts a program that may outlive vmferry. */
  readonly start: StartProgram;
  /** `--start` and `--stop`: the QEMU of a launch is started by them; `undefined`: from its command line. */
  readonly site?: Omit<SiteRecord, "guest"> | undefined;
  /** A QEMU of commands, those of `site` or of an earlier launch. */
  readonly siteQemu: (of: SiteQemuOf) => SiteQemuControl;
  /** Reports what the host knows of paths. */
  readonly describeHost: DescribeHost;
  /** Connects to a UNIX socket. */
  readonly connectUnix: (path: string) => Promise<BytePipe>;
  /**
   * The QEMUs that have accepted a connection to a UNIX socket, each with the processes above it; none where
   * this user may not look at them.
   */
  readonly serversOf: (path: string) => Promise<readonly (readonly number[])[]>;
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
