/**
 * AUTH, both ways: each end shows that it knows the key (docs/tunnel-protocol.md, section 4).
 *
 * @module
 */
import { type BytePipe, writeAll } from "../../io/mod.ts";
import { SessionError } from "../errors.ts";
import { frameOf } from "../wire/frame.ts";
import * as wire from "../wire/layout.ts";
import { authCredential, sameCredential, sessionKey } from "./credential.ts";
import { type Exchange, readFrame } from "./exchange.ts";

/** A session's identity, known to both ends once it is open. */
export interface SessionIdentity {
  /** 16 bytes; the listening end's choice. */
  readonly id: Uint8Array;
  /** Key of the credentials of later connections (`S` in docs/tunnel-protocol.md, section 4). */
  readonly key: CryptoKey;
}

/** Shows the key of a new session, or lane, and checks that the other end knows it too. */
export async function authenticate(
  pipe: BytePipe,
  { hash, peer }: Exchange,
  key: CryptoKey,
): Promise<SessionIdentity> {
  await writeAll(pipe, frameOf(wire.AUTH, 0, await authCredential(key, "connecting", hash)));
  const answer = await readFrame(pipe, [wire.AUTH]);
  if (!sameCredential(answer.payload, await authCredential(key, "listening", hash))) {
    throw new SessionError("refused", "The other end does not know the secret", {
      refusal: "wrong-secret",
    });
  }
  return { id: peer.sessionId, key: await sessionKey(key, hash) };
}

/**
 * Answers an AUTH whose credential is right; the identity is that of the new session, or lane.
 *
 * @param before called with the identity before the answer is sent.
 */
export async function answerAuth(
  pipe: BytePipe,
  { own, hash }: Exchange,
  key: CryptoKey,
  before: (identity: SessionIdentity) => void = () => {},
): Promise<SessionIdentity> {
  // Make all of it before the answer: once the other end has that, it may come back to the session.
  const credential = await authCredential(key, "listening", hash);
  const identity = { id: own.sessionId, key: await sessionKey(key, hash) };
  before(identity);
  await writeAll(pipe, frameOf(wire.AUTH, 0, credential));
  return identity;
}
