/** How much a log line matters, least first. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** Where diagnostics go. Never standard output: that may be the tunnel or the JSON events. */
export interface Logger {
  /** True when debug lines are printed; ask before building an expensive one. */
  readonly debugEnabled: boolean;
  log(level: LogLevel, message: string): void;
}

/** A logger that keeps nothing. */
export const silentLogger: Logger = { debugEnabled: false, log() {} };
