import type { GoawayCode, RefuseCode, ResetCode } from "./wire/layout.ts";

/** Why a session ended that did not end cleanly. The session is over; so are all its streams. */
export type SessionErrorCode =
  /** The other end would not have us; `refusal` says why. */
  | "refused"
  /** The other end broke the protocol. */
  | "protocol-error"
  /** The connection was lost and could not be had back in time. */
  | "lost"
  /** The other end ended the session with an error of its own. */
  | "ended-by-peer"
  /** This end ended it. */
  | "closed"
  /** No connection could be made in the first place. */
  | "unreachable";

/** The session is dead, and with it every stream and call in it. */
export class SessionError extends Error {
  override name = "SessionError";
  readonly code: SessionErrorCode;
  /** With code `refused`: the reason's code. */
  readonly refusal: RefuseCode | undefined;
  /** With code `unreachable`: nobody answered at the address. Else somebody did, and was not the one. */
  readonly unanswered: boolean;
  constructor(
    code: SessionErrorCode,
    message: string,
    options: { cause?: unknown; refusal?: RefuseCode; unanswered?: boolean } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.refusal = options.refusal;
    this.unanswered = options.unanswered ?? false;
  }
}

/** One connection is dead; the session may go on with another. */
export class ConnectionError extends Error {
  override name = "ConnectionError";
}

/** The peer broke a rule of the protocol; the session ends with `goaway` as the code it is told. */
export class ProtocolError extends Error {
  override name = "ProtocolError";
  readonly goaway: GoawayCode;
  constructor(message: string, goaway: GoawayCode = "protocol-error") {
    super(message);
    this.goaway = goaway;
  }
}

/** One stream was given up, by this end or the other. The session goes on. */
export class StreamResetError extends Error {
  override name = "StreamResetError";
  readonly code: ResetCode;
  readonly by: "us" | "peer";
  constructor(code: ResetCode, message: string, by: "us" | "peer") {
    super(message);
    this.code = code;
    this.by = by;
  }
}

/** Finds the name of a number in one of the code tables of wire/layout.ts. */
export function codeName<K extends string>(
  table: Readonly<Record<K, number>>,
  value: number,
): K | undefined {
  for (const name in table) if (table[name] === value) return name;
  return undefined;
}
