import type { BytePipe } from "./byte_pipe.ts";

/** A listening TCP port or UNIX socket. Its creator closes it, or documents a transfer. */
export interface Acceptor {
  /** Its address, such as `tcp://127.0.0.1:7450`. */
  readonly address: string;
  /**
   * Waits for the next connection; the caller owns it.
   *
   * @returns `undefined` once the acceptor is closed.
   */
  accept(): Promise<BytePipe | undefined>;
  /** Resolves when no further connection can come; missing where one always can. */
  readonly over?: Promise<void>;
  /** Stops listening and removes the socket. Accepted connections stay. */
  close(): void;
}

/**
 * Makes a new connection; the caller owns it. Rejects when nothing answers, and with the signal's
 * reason when that is aborted.
 *
 * A dial that works for longer calls `onProgress` for each step, which renews its caller's deadline.
 */
export type Dial = (signal: AbortSignal, onProgress?: () => void) => Promise<BytePipe>;

/** Why a connection was not made, as far as a session decides by it. */
export type DialFailure =
  /** Nothing answers at the address. */
  | "unanswered"
  /** A vmferry answers and refuses; the message is its own. */
  | "refused"
  /** Anything else. */
  | "failed";

/** A connection was not made: thrown by a {@link Dial}, or by the first read of its pipe. */
export class DialError extends Error {
  /** The class, also in a bundle. */
  override name = "DialError";
  /** Why. */
  readonly failure: DialFailure;

  /** With failure `refused`: a word for scripts, where the transport has one. */
  readonly code: string | undefined;

  /** Makes the error; `message` is for people. */
  constructor(failure: DialFailure, message: string, options?: ErrorOptions & { code?: string }) {
    super(message, options);
    this.failure = failure;
    this.code = options?.code;
  }
}
