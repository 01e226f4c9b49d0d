/**
 * Programs of this host, as src/cli runs them: shapes only.
 *
 * @module
 */

/** How a program ended. */
export interface ProgramResult {
  /** Exit code; 128 + N after signal N. */
  readonly code: number;
  /** Its standard output, as UTF-8. */
  readonly stdout: string;
  /** Its standard error, as UTF-8. */
  readonly stderr: string;
}

/** How a program runs. */
export interface ProgramOptions {
  /** How long it may take, ms; it is killed then, with the programs that it has started. */
  readonly timeoutMs: number;
  /** Kills it in the same way. */
  readonly signal?: AbortSignal;
  /** Its standard input; nothing by default. */
  readonly input?: string;
}

/** A program that cannot be run at all. */
export class ProgramError extends Error {
  /** The class, also in a bundle. */
  override name = "ProgramError";
  /** `not-found`: this host has no such program. */
  readonly failure: "not-found" | "failed";
  /** Makes the error; the message names the program. */
  constructor(failure: "not-found" | "failed", message: string) {
    super(message);
    this.failure = failure;
  }
}

/**
 * Runs a program to its end, in the C locale.
 *
 * @param argv the program and its arguments.
 * @throws {ProgramError} when it cannot be started.
 * @throws {DeadlineError} when it took longer than `timeoutMs`; it has been killed.
 * @throws the signal's reason when that is aborted.
 */
export type RunProgram = (
  argv: readonly string[],
  options: ProgramOptions,
) => Promise<ProgramResult>;

/** A program that runs for as long as it likes. It does not get the terminal's signals. */
export interface RunningProgram {
  /** How it ended. Never rejects. */
  readonly ended: Promise<ProgramResult>;
  /** Ends it at once (SIGKILL). */
  kill(): void;
}

/** Starts such a program. */
export type StartProgram = (argv: readonly string[]) => RunningProgram;
