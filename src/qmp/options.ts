import type { Clock, Logger } from "../io/mod.ts";

/** How to open a `QmpClient`. */
export interface OpenOptions {
  /** Default: the machine's own. */
  readonly clock?: Clock;
  /** Gets commands, answers and events at level `debug`. */
  readonly log?: Logger;
  /** How long to wait for QEMU's greeting, ms. Default 5000. */
  readonly greetingTimeoutMs?: number;
  /** How long a command may take unless it says so itself, ms. Default 60000: QEMU may be busy. */
  readonly commandTimeoutMs?: number;
}

/** How to carry out one command. */
export interface ExecuteOptions {
  /** How long to wait for the answer, ms. Default: the client's `commandTimeoutMs`. */
  readonly timeoutMs?: number;
  /** Gives up waiting; QEMU may still carry the command out. */
  readonly signal?: AbortSignal;
  /** Out of band, ahead of commands under way; ignored unless `client.oob`. Since QEMU 3.0. */
  readonly oob?: boolean;
}
