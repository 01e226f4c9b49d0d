/**
 * What every handshake begins with: the exchange of prefaces and HELLOs, and the frames that may
 * come in it (docs/tunnel-protocol.md, sections 1 to 4).
 *
 * @module
 */
import { concat } from "@std/bytes/concat";
import { type BytePipe, printable, readFull, writeAll } from "../../io/mod.ts";
import { codeName, ConnectionError, ProtocolError, SessionError } from "../errors.ts";
import type { Decompress } from "../compress/zstd.ts";
import * as limits from "../limits.ts";
import { codeFrame, type FrameHeader, parseHeader } from "../wire/frame.ts";
import { encodeHello, encodePreface, type Hello, parseHello, parsePreface } from "../wire/hello.ts";
import * as wire from "../wire/layout.ts";
import { transcript } from "./credential.ts";

/** What an end brings to a handshake. */
export interface Local {
  /** What the other end must know too, 16 to 4096 bytes; `undefined`: the transport protects us. */
  readonly secret: Uint8Array | undefined;
  /** A single-use secret that was used: an end that knows it is refused with that reason. */
  readonly spent?: Uint8Array | undefined;
  /** How long this end keeps a session without a connection, ms. */
  readonly graceMs: number;
  /** The program's version, at most 16 ASCII characters. */
  readonly version: string;
  /** Decompresses what the peer sends; without it the peer is asked to compress nothing. */
  readonly decompress?: Decompress | undefined;
  /** Bytes that both ends know of the transport (the hash of a certificate), if it has any. */
  readonly binding?: Uint8Array;
  /** Lanes that this end wants in a new session, or allows. Default: one, and the HELLO has no number. */
  readonly lanes?: number | undefined;
  /** Unpredictable bytes for nonces and session ids. Default: `crypto.getRandomValues`. */
  readonly randomBytes?: (length: number) => Uint8Array;
}

/** What both ends know after their HELLOs. */
export interface Exchange {
  readonly own: Hello;
  readonly peer: Hello;
  /** The transcript that all credentials of this connection include. */
  readonly hash: Uint8Array;
}

/** Random bytes from the source that `local` names. */
export function randomBytes(local: Local, length: number): Uint8Array {
  return local.randomBytes?.(length) ?? crypto.getRandomValues(new Uint8Array(length));
}

/**
 * Exchanges prefaces and HELLOs. The connecting end speaks first, so that a port scanner learns
 * nothing.
 *
 * @param lane number of the lane that this connecting end joins to the session; 0: none.
 * @throws {SessionError} code `refused` when the two ends do not fit; the other end is sent REFUSE.
 * @throws {ProtocolError | ConnectionError} when the other end is not vmferry, or hung up.
 */
export async function exchangeHellos(
  pipe: BytePipe,
  role: "connecting" | "listening",
  local: Local,
  sessionId: Uint8Array,
  lane = 0,
): Promise<Exchange> {
  let own: Hello = {
    role,
    hasSecret: local.secret !== undefined,
    decompresses: local.decompress !== undefined,
    lanes: role === "connecting" ? lane || wantedLanes(local, sessionId) : 0,
    maxData: limits.MAX_DATA,
    maxStreams: limits.MAX_STREAMS,
    firstWindow: limits.FIRST_WINDOW,
    rpcWindow: limits.RPC_WINDOW,
    graceMs: local.graceMs,
    sessionId,
    nonce: randomBytes(local, wire.NONCE_LENGTH),
    version: local.version,
  };
  const preface = encodePreface();
  let hello = encodeHello(own);
  // In one write: the transport may delay a second small one.
  const writeOwn = () => writeAll(pipe, concat([preface, hello]));
  if (role === "connecting") await writeOwn();
  const peerPreface = await readPreface(pipe);
  const version = parsePreface(peerPreface);
  if (version.major !== wire.VERSION_MAJOR) {
    const reason =
      `vmferry ${local.version} speaks version ${wire.VERSION_MAJOR}.x of the protocol, ` +
      `the other end speaks ${version.major}.${version.minor}`;
    if (role === "listening") await writeOwn();
    return await refuse(pipe, "version", reason);
  }
  const { payload } = await readFrame(pipe, [wire.HELLO]);
  const peer = parseHello(payload);
  if (peer.role === role) {
    return await refuse(pipe, "malformed", `Both ends are ${role} ends`);
  }
  if (role === "listening") {
    // An end that does not ask for lanes reads the same bytes as ever.
    if (asksForLanes(peer)) {
      own = { ...own, lanes: Math.min(peer.lanes, local.lanes ?? 1) };
      hello = encodeHello(own);
    }
    await writeOwn();
    if (peer.hasSecret !== own.hasSecret) {
      return await refuse(pipe, "wrong-secret", secretsDiffer(own.hasSecret));
    }
  }
  // The transcript has the payload of a HELLO, without its header.
  const sent = [preface, hello.subarray(wire.HEADER_LENGTH)];
  const received = [peerPreface, payload];
  const hash = await transcript({
    connecting: role === "connecting" ? sent : received,
    listening: role === "connecting" ? received : sent,
    ...(local.binding ? { binding: local.binding } : {}),
  });
  return { own, peer, hash };
}

/** A HELLO of a connecting end that wants a new session. */
function isNew(sessionId: Uint8Array): boolean {
  return sessionId.every((byte) => byte === 0);
}

/** What the connecting end's HELLO says: nothing where it wants one lane, or resumes a session. */
function wantedLanes({ lanes = 1 }: Local, sessionId: Uint8Array): number {
  return lanes > 1 && isNew(sessionId) ? lanes : 0;
}

function asksForLanes({ lanes, sessionId }: Hello): boolean {
  return lanes > 0 && isNew(sessionId);
}

/** The peer is a connecting end that joins a lane to a session. */
export function joinsSession({ lanes, sessionId }: Hello): boolean {
  return lanes > 0 && !isNew(sessionId);
}

/** How many lanes the session of these two ends may have. */
export function agreedLanes({ own, peer }: Exchange): number {
  return Math.max(1, Math.min(own.lanes, peer.lanes));
}

/** Reads a preface; returns fewer bytes when the connection ended after some. */
async function readPreface(pipe: BytePipe): Promise<Uint8Array> {
  const bytes = new Uint8Array(wire.PREFACE_LENGTH);
  let length = 0;
  while (length < bytes.length) {
    const n = await pipe.read(bytes.subarray(length));
    if (n === null) break;
    length += n;
  }
  if (length === 0) throw hungUp();
  return bytes.subarray(0, length);
}

/** @throws {SessionError} code `refused` when only one of the two ends has a secret. */
export function checkSecrets(local: Local, peer: Hello): void {
  const hasSecret = local.secret !== undefined;
  if (peer.hasSecret !== hasSecret) {
    throw new SessionError("refused", secretsDiffer(!peer.hasSecret), { refusal: "wrong-secret" });
  }
}

function secretsDiffer(listeningHas: boolean): string {
  const [has, lacks] = listeningHas ? ["listening", "connecting"] : ["connecting", "listening"];
  return `The ${has} end has a secret and the ${lacks} end has none`;
}

/** Sends the other end REFUSE, then throws the same reason. The caller closes the pipe. */
export async function refuse(
  pipe: BytePipe,
  code: wire.RefuseCode,
  reason: string,
): Promise<never> {
  try {
    await writeAll(pipe, codeFrame(wire.REFUSE, wire.REFUSE_CODES[code], reason));
    await pipe.closeWrite();
  } catch {
    // The other end has hung up; the caller still gets the reason.
  }
  throw new SessionError("refused", reason, { refusal: code });
}

/** A whole frame of a handshake. */
export interface Frame {
  readonly header: FrameHeader;
  readonly payload: Uint8Array;
}

/**
 * Reads one frame of the types that may come now.
 *
 * @throws {SessionError} code `refused` when a REFUSE comes instead.
 * @throws {ProtocolError} when anything else comes.
 */
export async function readFrame(pipe: BytePipe, types: readonly number[]): Promise<Frame> {
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
  if (into.length > 0 && !await readFull(pipe, into)) throw hungUp();
}

function hungUp(): ConnectionError {
  return new ConnectionError("The other end closed the connection during the handshake");
}
