import { DialError, type DialFailure } from "../io/mod.ts";

/** The error codes of an address at which nobody answers, as Deno and `node:net` give them. */
const NOBODY: readonly unknown[] = [
  ...["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"],
  // A UNIX socket that is not there.
  "ENOENT",
];

/** A connection was not made, was lost, or an address can't be listened on; the message says why. */
export class TransportError extends DialError {
  /** Name of the class, for stacks. */
  override name = "TransportError";

  /**
   * A failure with its cause.
   *
   * @param options `failure`: default by the error code of `cause`.
   */
  constructor(
    message: string,
    { cause, failure, code }: { cause?: unknown; failure?: DialFailure; code?: string } = {},
  ) {
    const options = code === undefined ? { cause } : { cause, code };
    super(failure ?? (isUnanswered(cause) ? "unanswered" : "failed"), message, options);
  }
}

function isUnanswered(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (NOBODY.includes((cause as { code?: unknown }).code)) return true;
  }
  return false;
}

/** The program that ssh starts did not begin to speak, or ended. */
export class SshError extends TransportError {
  /** Name of the class, for stacks. */
  override name = "SshError";
  /** The exit code of ssh: 255 is its own, any other one is the remote program's. */
  readonly exitCode: number;

  /** @param exitCode of ssh, 0 to 255. */
  constructor(
    message: string,
    exitCode: number,
    options: { cause?: unknown; failure: DialFailure; code?: string },
  ) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** An address, the value of a flag or a file that the user named is wrong; the message says how. */
export class InputError extends Error {
  /** Name of the class, for stacks. */
  override name = "InputError";
}
