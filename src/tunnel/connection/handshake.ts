/**
 * The start of a connection, up to the point where the session may use it: preface, HELLO, and
 * either a new session's proofs or the resumption of one that lost its connection. Nothing but
 * fixed-size frames is read before the other end has proved itself.
 *
 * @module
 */
import { type BytePipe, printable, readFull, writeAll } from "../../io/mod.ts";
import { codeName, ConnectionError, ProtocolError, SessionError } from "../errors.ts";
import {
  codeFrame,
  type FrameHeader,
  frameOf,
  getU64,
  parseHeader,
  putU64,
} from "../wire/frame.ts";
import { encodeHello, encodePreface, type Hello, parseHello, parsePreface } from "../wire/hello.ts";
import * as limits from "../limits.ts";
import {
  authCredential,
  resumeCredential,
  sameCredential,
  secretKey,
  sessionKey,
  transcript,
} from "./credential.ts";
import * as wire from "../wire/layout.ts";

/** What an end brings to a handshake. */
export interface Local {
  readonly secret: Uint8Array | undefined;
  /** A secret that was good once; who proves that one is told so and refused. */
  readonly spent?: Uint8Array | undefined;
  readonly graceMs: number;
  readonly version: string;
  /** Bytes that both ends know of the transport below (a certificate's hash), if it has any. */
  readonly binding?: Uint8Array;
}

/** A session's identity, known to both ends once it is open. */
export interface SessionIdentity {
  readonly id: Uint8Array;
  readonly key: CryptoKey;
}

/** A new session was agreed on. */
export interface Opened {
  readonly kind: "opened";
  readonly identity: SessionIdentity;
  readonly peer: Hello;
}

/** A known session goes on. */
export interface Resumed {
  readonly kind: "resumed";
  /** Bytes of ours that the other end has. */
  readonly peerReceived: number;
  /** Number of this connection within the session. */
  readonly epoch: number;
}

/** What the listening end must be able to say of a session that somebody wants to resume. */
export interface Resumable {
  readonly identity: SessionIdentity;
  /** Number of its connection so far; the next one's is higher. */
  readonly epoch: number;
  /**
   * Called once the other end has proved itself: ends the old connection and settles the numbers.
   *
   * @returns bytes received in all.
   * @throws {ProtocolError} when `peerReceived` can't be served, and the session is dead; or the epoch
   * has become stale meanwhile.
   */
  fence(epoch: number, peerReceived: number): Promise<number>;
}

/** The sessions of a listening end. */
export interface KnownSessions {
  find(sessionId: Uint8Array): Resumable | undefined;
  /** There are as many as there may be. */
  full(): boolean;
}

/**
 * The connecting end's handshake for a new session.
 *
 * @throws {SessionError} code `refused` when the other end refuses or can't prove itself.
 * @throws {ProtocolError | ConnectionError} when it does not speak the protocol, or went away.
 */
export async function openSession(pipe: BytePipe, local: Local): Promise<Opened> {
  const exchange = await exchangeHellos(pipe, "connecting", local, new Uint8Array(16));
  checkSecrets(local, exchange.peer);
  const key = await secretKey(local.secret);
  await writeAll(
    pipe,
    frameOf(wire.AUTH, 0, await authCredential(key, "connecting", exchange.hash)),
  );
  const answer = await readFrame(pipe, [wire.AUTH]);
  if (!sameCredential(answer.payload, await authCredential(key, "listening", exchange.hash))) {
    throw new SessionError("refused", "The other end does not know the secret", {
      refusal: "wrong-secret",
    });
  }
  return {
    kind: "opened",
    identity: { id: exchange.peer.sessionId, key: await sessionKey(key, exchange.hash) },
    peer: exchange.peer,
  };
}

/** The connecting end's handshake to go on with a session over a new connection. */
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
  const proof = await resumeCredential(identity.key, "connecting", exchange.hash, numbers);
  const request = new Uint8Array(wire.RESUME_LENGTH);
  request.set(numbers);
  request.set(proof, 16);
  await writeAll(pipe, frameOf(wire.RESUME, 0, request));
  const answer = await readFrame(pipe, [wire.RESUMED]);
  const peerNumbers = answer.payload.subarray(0, 8);
  const expected = await resumeCredential(identity.key, "listening", exchange.hash, peerNumbers);
  if (!sameCredential(answer.payload.subarray(8), expected)) {
    throw new SessionError("refused", "The other end does not hold this session's key", {
      refusal: "wrong-secret",
    });
  }
  return { kind: "resumed", peerReceived: getU64(peerNumbers, 0), epoch };
}

/**
 * The listening end's handshake, for either case. A refusal is told to the other end before the
 * error is thrown here.
 *
 * @throws {SessionError} code `refused` when the other end can't prove itself.
 * @throws {ProtocolError | ConnectionError} when it does not speak the protocol, or went away.
 */
export async function answerHandshake(
  pipe: BytePipe,
  local: Local,
  sessions: KnownSessions,
): Promise<Opened | (Resumed & { readonly session: Resumable })> {
  const exchange = await exchangeHellos(
    pipe,
    "listening",
    local,
    crypto.getRandomValues(new Uint8Array(wire.SESSION_ID_LENGTH)),
  );
  if (pipe.refusal !== undefined) return await refuse(pipe, "not-allowed", pipe.refusal);
  const frame = await readFrame(pipe, [wire.AUTH, wire.RESUME]);
  if (frame.header.type === wire.RESUME) {
    const session = sessions.find(exchange.peer.sessionId);
    if (!session) {
      return await refuse(pipe, "unknown-session", "This session is not known here (any more)");
    }
    return await answerResume(pipe, exchange.hash, frame.payload, session);
  }
  const { secret, spent } = local;
  const key = await secretKey(secret);
  if (!sameCredential(frame.payload, await authCredential(key, "connecting", exchange.hash))) {
    const old = spent && await authCredential(await secretKey(spent), "connecting", exchange.hash);
    if (old && sameCredential(frame.payload, old)) {
      return await refuse(pipe, "wrong-secret", "The ticket was used already, it is good for once");
    }
    return await refuse(pipe, "wrong-secret", "The secrets of the two ends are not the same");
  }
  if (sessions.full()) {
    const reason =
      `${limits.MAX_SESSIONS} sessions are open here, which is as many as there may be`;
    return await refuse(pipe, "busy", reason);
  }
  // All of it is made before the other end can know that it has a session, and come back to it.
  const proof = await authCredential(key, "listening", exchange.hash);
  const identity = { id: exchange.own.sessionId, key: await sessionKey(key, exchange.hash) };
  await writeAll(pipe, frameOf(wire.AUTH, 0, proof));
  return { kind: "opened", identity, peer: exchange.peer };
}

async function answerResume(
  pipe: BytePipe,
  hash: Uint8Array,
  request: Uint8Array,
  session: Resumable,
): Promise<Resumed & { readonly session: Resumable }> {
  const numbers = request.slice(0, 16);
  const { key } = session.identity;
  const proof = await resumeCredential(key, "connecting", hash, numbers);
  if (!sameCredential(request.subarray(16), proof)) {
    return await refuse(pipe, "wrong-secret", "That is not this session's key");
  }
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
  const answer = new Uint8Array(wire.RESUMED_LENGTH);
  putU64(answer, 0, received);
  answer.set(await resumeCredential(key, "listening", hash, answer.slice(0, 8)), 8);
  await writeAll(pipe, frameOf(wire.RESUMED, 0, answer));
  return { kind: "resumed", peerReceived, epoch, session };
}

interface Exchange {
  readonly own: Hello;
  readonly peer: Hello;
  readonly hash: Uint8Array;
}

/** Both prefaces and HELLOs. The connecting end speaks first, so that a scanner learns nothing. */
async function exchangeHellos(
  pipe: BytePipe,
  role: "connecting" | "listening",
  local: Local,
  sessionId: Uint8Array,
): Promise<Exchange> {
  const own: Hello = {
    role,
    hasSecret: local.secret !== undefined,
    maxData: limits.MAX_DATA,
    maxStreams: limits.MAX_STREAMS,
    firstWindow: limits.FIRST_WINDOW,
    rpcWindow: limits.RPC_WINDOW,
    graceMs: local.graceMs,
    sessionId,
    nonce: crypto.getRandomValues(new Uint8Array(wire.NONCE_LENGTH)),
    version: local.version,
  };
  const preface = encodePreface();
  const hello = encodeHello(own);
  if (role === "connecting") await writeTogether(pipe, preface, hello);
  const peerPreface = await readPreface(pipe);
  const version = parsePreface(peerPreface);
  if (version.major !== wire.VERSION_MAJOR) {
    const reason = `Protocol ${wire.VERSION_MAJOR}.x is spoken here (vmferry ${local.version}), ` +
      `the other end speaks ${version.major}.${version.minor}`;
    if (role === "listening") await writeTogether(pipe, preface, hello);
    return await refuse(pipe, "version", reason);
  }
  const { payload } = await readFrame(pipe, [wire.HELLO]);
  const peer = parseHello(payload);
  if (peer.role === role) {
    return await refuse(pipe, "malformed", `Both ends are ${role} ends`);
  }
  if (role === "listening") {
    await writeTogether(pipe, preface, hello);
    if (peer.hasSecret !== own.hasSecret) {
      return await refuse(pipe, "wrong-secret", secretsDiffer(own.hasSecret));
    }
  }
  const said = { own: [preface, hello], peer: [peerPreface, payload] };
  // The transcript takes a HELLO's payload; ours is behind its header.
  said.own[1] = hello.subarray(wire.HEADER_LENGTH);
  const hash = await transcript({
    connecting: role === "connecting" ? said.own : said.peer,
    listening: role === "connecting" ? said.peer : said.own,
    ...(local.binding ? { binding: local.binding } : {}),
  });
  return { own, peer, hash };
}

/** Fewer bytes than a preface has come back when the connection ended after some. */
async function readPreface(pipe: BytePipe): Promise<Uint8Array> {
  const bytes = new Uint8Array(wire.PREFACE_LENGTH);
  let length = 0;
  while (length < bytes.length) {
    const n = await pipe.read(bytes.subarray(length));
    if (n === null) break;
    length += n;
  }
  if (length === 0) {
    throw new ConnectionError("The other end closed the connection during the handshake");
  }
  return bytes.subarray(0, length);
}

function checkSecrets(local: Local, peer: Hello): void {
  const hasSecret = local.secret !== undefined;
  if (peer.hasSecret !== hasSecret) {
    throw new SessionError("refused", secretsDiffer(!peer.hasSecret), { refusal: "wrong-secret" });
  }
}

/** `listeningHas`: it is the listening end that was given one. */
function secretsDiffer(listeningHas: boolean): string {
  const [has, lacks] = listeningHas ? ["listening", "connecting"] : ["connecting", "listening"];
  return `The ${has} end was given a secret and the ${lacks} end was not`;
}

/** Tells the other end why, then throws the same. The pipe stays the caller's to close. */
async function refuse(
  pipe: BytePipe,
  code: wire.RefuseCode,
  reason: string,
): Promise<never> {
  try {
    await writeAll(pipe, codeFrame(wire.REFUSE, wire.REFUSE_CODES[code], reason));
    await pipe.closeWrite();
  } catch {
    // It is gone already; the reason is thrown here all the same.
  }
  throw new SessionError("refused", reason, { refusal: code });
}

interface Frame {
  readonly header: FrameHeader;
  readonly payload: Uint8Array;
}

/** Reads one frame of the types that may come now; a REFUSE becomes the error it tells. */
async function readFrame(pipe: BytePipe, types: readonly number[]): Promise<Frame> {
  const head = new Uint8Array(wire.HEADER_LENGTH);
  await fill(pipe, head);
  const header = parseHeader(head);
  if (header.type !== wire.REFUSE && !types.includes(header.type)) {
    throw new ProtocolError(
      `Got a frame of type ${header.type} in the handshake, expected ${types.join(" or ")}`,
    );
  }
  const payload = new Uint8Array(header.length);
  await fill(pipe, payload);
  if (header.type === wire.REFUSE) {
    const number = new DataView(payload.buffer).getUint16(0);
    const code = codeName(wire.REFUSE_CODES, number) ?? "malformed";
    const reason = printable(new TextDecoder().decode(payload.subarray(2)));
    throw new SessionError("refused", reason, { refusal: code });
  }
  return { header, payload };
}

async function fill(pipe: BytePipe, into: Uint8Array): Promise<void> {
  if (into.length > 0 && !await readFull(pipe, into)) {
    throw new ConnectionError("The other end closed the connection during the handshake");
  }
}

async function writeTogether(pipe: BytePipe, a: Uint8Array, b: Uint8Array): Promise<void> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  await writeAll(pipe, both);
}
