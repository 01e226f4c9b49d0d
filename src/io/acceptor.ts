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
 */
export type Dial = (signal: AbortSignal) => Promise<BytePipe>;

/** How a connection fails to come about, as far as a session decides by it. */
export type DialFailure =
  /** Nobody answers at the address. */
  | "unanswered"
  /** A vmferry answers and refuses; the message is its own. */
  | "refused"
  /** Anything else. */
  | "failed";

/** A connection does not come about: a {@link Dial}, or the first read of what it made, throws it. */
export class DialError extends Error {
  override name = "DialError";
  readonly failure: DialFailure;

  constructor(failure: DialFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}
