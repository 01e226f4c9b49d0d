import type { GoawayCode, RefuseCode, ResetCode } from "./wire/layout.ts";

/** Why a session did not end cleanly. */
export type SessionErrorCode =
  /** The other end refused the handshake (REFUSE); `refusal` says why. */
  | "refused"
  /** The other end broke the protocol. */
  | "protocol-error"
  /** The connection was lost, and no new one took over within the grace. */
  | "lost"
  /** The other end ended the session with a reason (GOAWAY). */
  | "ended-by-peer"
  /** This end ended it. */
  | "closed"
  /** No connection could be made in the first place. */
  | "unreachable";

/** The session is over, and with it every stream and call in it. */
export class SessionError extends Error {
  /** The class, also in a bundle. */
  override name = "SessionError";
  /** Why. */
  readonly code: SessionErrorCode;
  /** With code `refused`: the code in the REFUSE (docs/tunnel-protocol.md, section 2). */
  readonly refusal: RefuseCode | undefined;
  /**
   * With code `unreachable`: nothing answered at the address. False when something answered that is
   * not the other end.
   */
  readonly unanswered: boolean;
  /** With code `ended-by-peer`: the other end's words, without ours in front of them. */
  readonly peerReason: string | undefined;
  /** Only one of several connections has failed; the peer may take another session at once. */
  readonly isPartial: boolean;
  /** Makes the error; `message` is for people. */
  constructor(
    code: SessionErrorCode,
    message: string,
    options: {
      cause?: unknown;
      refusal?: RefuseCode;
      unanswered?: boolean;
      peerReason?: string;
      isPartial?: boolean;
    } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.refusal = options.refusal;
    this.unanswered = options.unanswered ?? false;
    this.peerReason = options.peerReason;
    this.isPartial = options.isPartial ?? false;
  }

  /** The same error, of that part of the session. */
  of(part: string): SessionError {
    const { cause, refusal, unanswered, peerReason } = this;
    return new SessionError(this.code, `${this.message} (${part})`, {
      ...{ cause, unanswered, isPartial: true },
      ...(refusal === undefined ? {} : { refusal }),
      ...(peerReason === undefined ? {} : { peerReason }),
    });
  }
}

/** One connection is dead; the session may go on with another. */
export class ConnectionError extends Error {
  /** The class, also in a bundle. */
  override name = "ConnectionError";
}

/** The peer broke a rule of docs/tunnel-protocol.md; the session ends. */
export class ProtocolError extends Error {
  /** The class, also in a bundle. */
  override name = "ProtocolError";
  /** Code of the GOAWAY that the peer gets. */
  readonly goaway: GoawayCode;
  /** Makes the error; the peer gets `message` as the reason. */
  constructor(message: string, goaway: GoawayCode = "protocol-error") {
    super(message);
    this.goaway = goaway;
  }
}

/** One stream was reset, by this end or the other. The session goes on. */
export class StreamResetError extends Error {
  /** The class, also in a bundle. */
  override name = "StreamResetError";
  /** Code of the RESET. */
  readonly code: ResetCode;
  /** The end that reset the stream. */
  readonly by: "us" | "peer";
  /** Makes the error; the other end gets `message` as the reason. */
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
