/**
 * What a copy needs of its host, injected.
 *
 * @module
 */
import type { BytePipe, Clock, Logger } from "../io/mod.ts";
import type { ProgramResult, RunProgram } from "../host/mod.ts";

/** A program that ends when vmferry does, however that ends. */
export interface TiedProgram {
  /** How it ended. Never rejects. */
  readonly ended: Promise<ProgramResult>;
  /** Has it end (SIGTERM; after 10 s SIGKILL) and waits for that. */
  stop(): Promise<ProgramResult>;
}

/** One of the two hosts of a copy. */
export interface CopyHost {
  /** Runs a program of the host. */
  readonly run: RunProgram;
  /** Starts such a program. */
  readonly startTied: (argv: readonly string[]) => TiedProgram;
  /** Connects to a UNIX socket. */
  readonly connectUnix: (path: string) => Promise<BytePipe>;
  /** Path of a socket in a directory of this user alone. */
  readonly socketPath: (name: string) => string;
  /** This user's home directory; `undefined` without one. */
  readonly home: string | undefined;
  /** The time. */
  readonly clock: Clock;
  /** Gets diagnostics. */
  readonly log: Logger;
}
