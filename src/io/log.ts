/** Importance of a log line, least first. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** Takes diagnostics. Never standard output: that may be the tunnel or the JSON events. */
export interface Logger {
  /** True when debug lines are printed; check it before building an expensive one. */
  readonly debugEnabled: boolean;
  /** Logs one line, without a line end. Never throws. */
  log(level: LogLevel, message: string): void;
}

/** Drops everything. */
export const silentLogger: Logger = { debugEnabled: false, log() {} };
