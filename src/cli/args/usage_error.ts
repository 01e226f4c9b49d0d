/** What may be a ticket: 64 letters, digits, `-` and `_`, wherever they were put. */
const TICKET = /(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{64}(?![A-Za-z0-9_-])/g;

/**
 * The command line is wrong: exit 2. The message names the flag, what was got, what was expected. A
 * ticket that was put in the wrong place is not repeated.
 */
export class UsageError extends Error {
  override name = "UsageError";

  constructor(message: string) {
    super(message.replaceAll(TICKET, "(a ticket)"));
  }
}
