/**
 * The start of a connection that is a further lane of a session (docs/tunnel-protocol.md, section 4).
 * Its key is made of the session's, so that only the two ends of that session can open it.
 *
 * @module
 */
import type { BytePipe } from "../../io/mod.ts";
import type { Hello } from "../wire/hello.ts";
import { answerAuth, authenticate, type SessionIdentity } from "./authenticate.ts";
import { authCredential, laneKey, sameCredential } from "./credential.ts";
import { checkSecrets, type Exchange, exchangeHellos, type Local, refuse } from "./exchange.ts";

/** The reason of REFUSE `unknown-session` where no more is known. */
export const UNKNOWN_SESSION =
  "The listening end does not know the session: it was started again, or has forgotten it";

/** A further lane of a known session was agreed on. */
export interface Joined {
  readonly kind: "joined";
  /** Of the lane. */
  readonly identity: SessionIdentity;
  readonly peer: Hello;
  /** Its number, from 1. */
  readonly lane: number;
}

/** What the handshake needs of a session that a lane is to join. */
export interface Joinable {
  /** What the other end's credential is checked with. */
  readonly identity: SessionIdentity;
  /** Why this lane may not join; `undefined`: it may. */
  refusalOf(lane: number): string | undefined;
  /**
   * Adds the lane, without a connection.
   *
   * @throws {SessionError} when it may not join any more.
   */
  join(lane: number, opened: { readonly identity: SessionIdentity; readonly peer: Hello }): void;
}

/**
 * The connecting end's handshake for a further lane of a session.
 *
 * @param lane its number, from 1.
 * @throws as `openSession`.
 */
export async function joinSession(
  pipe: BytePipe,
  local: Local,
  session: SessionIdentity,
  lane: number,
): Promise<Joined> {
  const exchange = await exchangeHellos(pipe, "connecting", local, session.id, lane);
  checkSecrets(local, exchange.peer);
  const identity = await authenticate(pipe, exchange, await laneKey(session, lane));
  return { kind: "joined", identity, peer: exchange.peer, lane };
}

/**
 * The listening end's handshake, once AUTH is here. It sends the other end REFUSE before it throws.
 *
 * @param credential the payload of AUTH.
 * @param session the one that the other end named; `undefined`: it is not known.
 * @throws as `answerHandshake`.
 */
export async function answerJoin(
  pipe: BytePipe,
  exchange: Exchange,
  credential: Uint8Array,
  session: Joinable | undefined,
): Promise<Joined & { readonly session: Joinable }> {
  const { peer, hash } = exchange;
  const lane = peer.lanes;
  if (!session) {
    return await refuse(pipe, "unknown-session", UNKNOWN_SESSION);
  }
  const key = await laneKey(session.identity, lane);
  if (!sameCredential(credential, await authCredential(key, "connecting", hash))) {
    return await refuse(pipe, "wrong-secret", "The key is not the one of this session's lane");
  }
  const refusal = session.refusalOf(lane);
  if (refusal !== undefined) return await refuse(pipe, "not-allowed", refusal);
  const identity = await answerAuth(pipe, exchange, key, (identity) => {
    // Before the answer: the other end may use the lane as soon as it has that.
    session.join(lane, { identity, peer });
  });
  return { kind: "joined", identity, peer, lane, session };
}
