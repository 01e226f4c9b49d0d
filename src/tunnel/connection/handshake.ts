/**
 * The start of a connection, up to the point where the session may use it: preface, HELLO, and
 * either the credentials of a new session or the resumption of one that lost its connection
 * (docs/tunnel-protocol.md, section 4). Nothing but frames of a fixed size is read before the other
 * end has shown its credential.
 *
 * @module
 */
import { concat } from "@std/bytes/concat";
import { type BytePipe, writeAll } from "../../io/mod.ts";
import { ProtocolError, SessionError } from "../errors.ts";
import * as limits from "../limits.ts";
import { frameOf, getU64, putU64 } from "../wire/frame.ts";
import type { Hello } from "../wire/hello.ts";
import * as wire from "../wire/layout.ts";
import { answerAuth, authenticate, type SessionIdentity } from "./authenticate.ts";
import { authCredential, resumeCredential, sameCredential, secretKey } from "./credential.ts";
import {
  agreedLanes,
  checkSecrets,
  exchangeHellos,
  joinsSession,
  type Local,
  randomBytes,
  readFrame,
  refuse,
} from "./exchange.ts";
import { answerJoin, type Joinable, type Joined, UNKNOWN_SESSION } from "./join.ts";

export type { SessionIdentity } from "./authenticate.ts";
export type { Local } from "./exchange.ts";

/** A new session was agreed on. */
export interface Opened {
  readonly kind: "opened";
  readonly identity: SessionIdentity;
  readonly peer: Hello;
  /** How many lanes the session may have, this one included. */
  readonly lanes: number;
}

/** A known session goes on. */
export interface Resumed {
  readonly kind: "resumed";
  /** Bytes of ours that the other end has. */
  readonly peerReceived: number;
  /** Number of this connection within the session. */
  readonly epoch: number;
}

/** What the handshake needs of a session that another connection is to carry. */
export interface Resumable {
  /** What the other end's credential is checked with. */
  readonly identity: SessionIdentity;
  /** Number of its connection so far; the next one's is higher. */
  readonly epoch: number;
  /**
   * Ends the old connection and waits until `received` is final. Called once the other end has shown
   * its credential.
   *
   * @param peerReceived bytes that the other end says it has.
   * @returns bytes received in all.
   * @throws {ProtocolError} when the bytes after `peerReceived` cannot be sent again, and the session
   * is over; or when a newer epoch has come meanwhile.
   */
  fence(epoch: number, peerReceived: number): Promise<number>;
}

/** A lane that has ended. */
export interface EndedLane {
  /** What the other end's credential is checked with. */
  readonly identity: SessionIdentity;
  /** Why, for people. */
  readonly reason: string;
}

/** The sessions of a listening end. */
export interface KnownSessions {
  /** How the lane with this id ended, where that is remembered. */
  ended(sessionId: Uint8Array): EndedLane | undefined;
  /** The lane with this id; that of a session is its first lane's. */
  find(sessionId: Uint8Array): Resumable | undefined;
  /** The session that lanes may join. */
  joinable(sessionId: Uint8Array): Joinable | undefined;
  /** No more sessions are accepted. */
  full(): boolean;
}

/**
 * The connecting end's handshake for a new session.
 *
 * @throws {SessionError} code `refused` when the other end refuses or does not know the secret.
 * @throws {ProtocolError | ConnectionError} when it does not speak the protocol, or hung up.
 */
export async function openSession(pipe: BytePipe, local: Local): Promise<Opened> {
  const exchange = await exchangeHellos(
    pipe,
    "connecting",
    local,
    new Uint8Array(wire.SESSION_ID_LENGTH),
  );
  checkSecrets(local, exchange.peer);
  const key = await secretKey(local.secret);
  const identity = await authenticate(pipe, exchange, key);
  return { kind: "opened", identity, peer: exchange.peer, lanes: agreedLanes(exchange) };
}

/**
 * The connecting end's handshake to go on with a session over a new connection.
 *
 * @param epoch higher than that of every earlier attempt.
 * @param received bytes of whole sequenced frames that this end has.
 * @throws as {@link openSession}. Code `refused` is final: the session is over.
 */
export async function resumeSession(
  pipe: BytePipe,
  local: Local,
  identity: SessionIdentity,
  epoch: number,
  received: number,
): Promise<Resumed> {
  const exchange = await exchangeHellos(pipe, "connecting", local, identity.id);
  const numbers = new Uint8Array(16);
  putU64(numbers, 0, epoch);
  putU64(numbers, 8, received);
  const credential = await resumeCredential(identity.key, "connecting", exchange.hash, numbers);
  await writeAll(pipe, frameOf(wire.RESUME, 0, concat([numbers, credential])));
  const answer = await readFrame(pipe, [wire.RESUMED]);
  const peerNumbers = answer.payload.subarray(0, 8);
  const expected = await resumeCredential(identity.key, "listening", exchange.hash, peerNumbers);
  if (!sameCredential(answer.payload.subarray(8), expected)) {
    throw new SessionError("refused", "The other end does not have this session's key", {
      refusal: "wrong-secret",
    });
  }
  return { kind: "resumed", peerReceived: getU64(peerNumbers, 0), epoch };
}

/**
 * The listening end's handshake, for either case. It sends the other end REFUSE before it throws.
 *
 * @throws {SessionError} code `refused` when the credential is wrong or the session is not known.
 * @throws {ProtocolError | ConnectionError} when the other end does not speak the protocol, or hung
 * up.
 */
export async function answerHandshake(
  pipe: BytePipe,
  local: Local,
  sessions: KnownSessions,
): Promise<
  | Opened
  | (Joined & { readonly session: Joinable })
  | (Resumed & { readonly session: Resumable })
> {
  const sessionId = randomBytes(local, wire.SESSION_ID_LENGTH);
  const exchange = await exchangeHellos(pipe, "listening", local, sessionId);
  if (pipe.refusal !== undefined) return await refuse(pipe, "not-allowed", pipe.refusal);
  const frame = await readFrame(pipe, [wire.AUTH, wire.RESUME]);
  if (frame.header.type === wire.RESUME) {
    const session = sessions.find(exchange.peer.sessionId);
    if (!session) {
      const ended = sessions.ended(exchange.peer.sessionId);
      return await refuse(
        pipe,
        "unknown-session",
        await whyUnknown(exchange.hash, frame.payload, ended),
      );
    }
    return await answerResume(pipe, exchange.hash, frame.payload, session);
  }
  if (joinsSession(exchange.peer)) {
    const session = sessions.joinable(exchange.peer.sessionId);
    return await answerJoin(pipe, exchange, frame.payload, session);
  }
  const { secret, spent } = local;
  const key = await secretKey(secret);
  if (!sameCredential(frame.payload, await authCredential(key, "connecting", exchange.hash))) {
    const old = spent && await authCredential(await secretKey(spent), "connecting", exchange.hash);
    if (old && sameCredential(frame.payload, old)) {
      const reason = "This ticket has already been used. Tickets are single-use: " +
        "start receive again for a new one";
      return await refuse(pipe, "wrong-secret", reason);
    }
    return await refuse(pipe, "wrong-secret", "The secrets of the two ends are not the same");
  }
  if (sessions.full()) {
    const reason = `The limit of ${limits.MAX_SESSIONS} open sessions is reached`;
    return await refuse(pipe, "busy", reason);
  }
  const identity = await answerAuth(pipe, exchange, key);
  return { kind: "opened", identity, peer: exchange.peer, lanes: agreedLanes(exchange) };
}

/** Why a session cannot be resumed: only an end that has its key learns how it ended. */
async function whyUnknown(
  hash: Uint8Array,
  request: Uint8Array,
  ended: EndedLane | undefined,
): Promise<string> {
  if (!ended || !await hasKey(hash, request, ended)) return UNKNOWN_SESSION;
  return `The session has ended: ${ended.reason}`;
}

/** The RESUME shows that its sender has the session's key. */
async function hasKey(
  hash: Uint8Array,
  request: Uint8Array,
  { identity }: Pick<Resumable, "identity">,
): Promise<boolean> {
  const numbers = request.slice(0, 16);
  const credential = await resumeCredential(identity.key, "connecting", hash, numbers);
  return sameCredential(request.subarray(16), credential);
}

async function answerResume(
  pipe: BytePipe,
  hash: Uint8Array,
  request: Uint8Array,
  session: Resumable,
): Promise<Resumed & { readonly session: Resumable }> {
  if (!await hasKey(hash, request, session)) {
    return await refuse(pipe, "wrong-secret", "The key is not this session's key");
  }
  const numbers = request.slice(0, 16);
  const { key } = session.identity;
  const epoch = getU64(numbers, 0);
  const peerReceived = getU64(numbers, 8);
  if (epoch <= session.epoch) {
    const reason = `Connection ${epoch} of this session comes after connection ${session.epoch}`;
    return await refuse(pipe, "stale-epoch", reason);
  }
  let received: number;
  try {
    received = await session.fence(epoch, peerReceived);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return await refuse(pipe, "bad-resume", error.message);
  }
  const count = new Uint8Array(8);
  putU64(count, 0, received);
  const own = await resumeCredential(key, "listening", hash, count);
  await writeAll(pipe, frameOf(wire.RESUMED, 0, concat([count, own])));
  return { kind: "resumed", peerReceived, epoch, session };
}
