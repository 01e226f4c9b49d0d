/**
 * Preface and HELLO, from and to bytes (docs/tunnel-protocol.md, sections 1 and 3). Pure.
 *
 * @module
 */
import { printable, UnexpectedEndError } from "../../io/mod.ts";
import { ProtocolError } from "../errors.ts";
import { frameOf } from "./frame.ts";
import * as limits from "../limits.ts";
import * as wire from "./layout.ts";

/** What each end declares at the start of a connection. */
export interface Hello {
  /** Which end it is. */
  readonly role: "connecting" | "listening";
  /** It has a secret, so the other end needs the same one. */
  readonly hasSecret: boolean;
  /** It accepts compressed DATA. */
  readonly decompresses: boolean;
  /**
   * Lanes. From a connecting end that wants a new session, how many it wants; from one that names a
   * session, the number of the lane that joins it; from a listening end, how many it allows. 0: the
   * HELLO does not speak of lanes.
   */
  readonly lanes: number;
  /** Largest DATA payload accepted, bytes. */
  readonly maxData: number;
  /** Streams the other end may have open at a time. */
  readonly maxStreams: number;
  /** Credit each new stream starts with, bytes. */
  readonly firstWindow: number;
  /** Window of stream 0, bytes. */
  readonly rpcWindow: number;
  /** How long this end keeps the session without a connection, ms. */
  readonly graceMs: number;
  /** 16 bytes; zeros from a connecting end that wants a new session. */
  readonly sessionId: Uint8Array;
  /** 32 bytes, fresh for each connection. */
  readonly nonce: Uint8Array;
  /** Version of the program, at most 16 ASCII characters. */
  readonly version: string;
}

/** The protocol's version, from a preface. */
export interface WireVersion {
  readonly major: number;
  readonly minor: number;
}

/** The preface of this version: 16 bytes. */
export function encodePreface(): Uint8Array {
  const bytes = new Uint8Array(wire.PREFACE_LENGTH);
  bytes.set(wire.MAGIC);
  const view = new DataView(bytes.buffer);
  view.setUint16(12, wire.VERSION_MAJOR);
  view.setUint16(14, wire.VERSION_MINOR);
  return bytes;
}

/**
 * Reads a preface.
 *
 * @param bytes 16 bytes, or fewer when the connection ended after them.
 * @throws {ProtocolError} when it is no preface; the message shows the bytes.
 * @throws {UnexpectedEndError} when it is the beginning of one.
 */
export function parsePreface(bytes: Uint8Array): WireVersion {
  // A TLS record: of the handshake, or the alert of a TLS server that got something else.
  if ((bytes[0] === 0x16 || bytes[0] === 0x15) && bytes[1] === 0x03) {
    throw new ProtocolError("The other end speaks TLS, but this end uses plain tcp");
  }
  for (let i = 0; i < wire.MAGIC.length && i < bytes.length; i++) {
    if (bytes[i] !== wire.MAGIC[i]) {
      const text = printable(new TextDecoder("latin1").decode(bytes));
      throw new ProtocolError(`The other end is not vmferry: it began with "${text}"`);
    }
  }
  if (bytes.length < wire.PREFACE_LENGTH) {
    throw new UnexpectedEndError(bytes.length, wire.PREFACE_LENGTH);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { major: view.getUint16(12), minor: view.getUint16(14) };
}

/** The HELLO frame. */
export function encodeHello(hello: Hello): Uint8Array {
  const bytes = new Uint8Array(wire.HELLO_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, hello.role === "connecting" ? wire.ROLE_CONNECTING : wire.ROLE_LISTENING);
  const flags = (hello.hasSecret ? wire.HELLO_FLAG_SECRET : 0) |
    (hello.decompresses ? wire.HELLO_FLAG_ZSTD : 0) |
    (hello.lanes > 0 ? wire.HELLO_FLAG_LANES : 0);
  view.setUint8(1, flags);
  view.setUint8(2, hello.lanes);
  view.setUint32(4, hello.maxData);
  view.setUint32(8, hello.maxStreams);
  view.setUint32(12, hello.firstWindow);
  view.setUint32(16, hello.rpcWindow);
  view.setUint32(20, hello.graceMs);
  bytes.set(hello.sessionId, 32);
  bytes.set(hello.nonce, 48);
  new TextEncoder().encodeInto(hello.version, bytes.subarray(80, 96));
  return frameOf(wire.HELLO, 0, bytes);
}

/**
 * Reads the payload of a HELLO.
 *
 * @param payload 96 bytes.
 * @throws {ProtocolError} naming the member that is out of its bounds.
 */
export function parseHello(payload: Uint8Array): Hello {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const role = view.getUint8(0);
  if (role !== wire.ROLE_CONNECTING && role !== wire.ROLE_LISTENING) {
    throw new ProtocolError(`HELLO names role ${role}, expected 1 or 2`);
  }
  const flags = view.getUint8(1);
  // Ignore unknown flags and reserved bytes: a later minor version may use them.
  const version = new TextDecoder("latin1").decode(payload.subarray(80, 96)).replace(/\0+$/, "");
  return {
    role: role === wire.ROLE_CONNECTING ? "connecting" : "listening",
    hasSecret: (flags & wire.HELLO_FLAG_SECRET) !== 0,
    decompresses: (flags & wire.HELLO_FLAG_ZSTD) !== 0,
    lanes: (flags & wire.HELLO_FLAG_LANES) === 0
      ? 0
      : bounded("number of lanes", view.getUint8(2), 1, 255),
    maxData: bounded("largest DATA payload", view.getUint32(4), limits.MIN_MAX_DATA, 2 ** 31),
    maxStreams: bounded("number of streams", view.getUint32(8), 1, 2 ** 31),
    firstWindow: bounded("first window", view.getUint32(12), limits.MIN_MAX_DATA, 2 ** 32),
    rpcWindow: bounded("RPC window", view.getUint32(16), limits.MIN_MAX_DATA, 2 ** 32),
    graceMs: bounded("grace", view.getUint32(20), 0, limits.MAX_GRACE_MS),
    sessionId: payload.slice(32, 48),
    nonce: payload.slice(48, 80),
    version: printable(version),
  };
}

function bounded(what: string, value: number, min: number, max: number): number {
  if (value < min || value > max) {
    throw new ProtocolError(`HELLO names a ${what} of ${value}, expected ${min} to ${max}`);
  }
  return value;
}
