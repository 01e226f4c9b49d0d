/**
 * The messages between a client and a libvirt daemon (libvirt's src/rpc/virnetprotocol.x, the same in
 * every version): length, program, version, procedure, type, serial, status, 4 bytes each, big-endian;
 * the length counts itself. Pure.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";

/** Bytes of a message up to its procedure, all that is read of it. */
export const HEAD_BYTES = 16;
/** Bytes of a message without a body. */
const BARE_BYTES = 28;
/** Longest message, bytes (VIR_NET_MESSAGE_MAX), with its length. */
const MAX_MESSAGE = 33_554_432 + 4;

/** Program of the calls of a driver (remote_protocol.x). */
export const REMOTE_PROGRAM = 0x20008086;
/** Program of the keepalive messages (virkeepaliveprotocol.x). */
export const KEEPALIVE_PROGRAM = 0x6b656570;
/** Its message that asks for a {@link PONG}. */
export const PING = 1;
/** Its message that answers. */
export const PONG = 2;

/** What is read of a message. */
export interface MessageHead {
  /** Bytes of the whole message. */
  readonly length: number;
  /** The program that the procedure belongs to. */
  readonly program: number;
  /** Number of the procedure. */
  readonly procedure: number;
}

/**
 * Reads the first {@link HEAD_BYTES} of a message.
 *
 * @returns `undefined` for bytes that are no message, for example because SASL encrypts them.
 */
export function readHead(bytes: Uint8Array): MessageHead | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES);
  const length = view.getUint32(0);
  if (length < BARE_BYTES || length > MAX_MESSAGE) return undefined;
  return { length, program: view.getUint32(4), procedure: view.getUint32(12) };
}

/** A PONG: version 1, type 2 (a message without a reply), serial and status 0. */
export function pong(): Uint8Array {
  const bytes = new Uint8Array(BARE_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of [BARE_BYTES, KEEPALIVE_PROGRAM, 1, PONG, 2, 0, 0].entries()) {
    view.setUint32(4 * i, word);
  }
  return bytes;
}

/**
 * Splits one direction of a connection into messages, whatever the sizes in which its bytes come.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MessageSplitter, PONG, pong } from "./messages.ts";
 *
 * const splitter = new MessageSplitter();
 * const seen: number[] = [];
 * const bytes = splitter.push(pong().subarray(0, 20), (head) => {
 *   seen.push(head.procedure);
 *   return true;
 * });
 * assertEquals([seen, bytes.length, splitter.isBetween], [[PONG], 20, false]);
 * ```
 */
export class MessageSplitter {
  readonly #head = new Uint8Array(HEAD_BYTES);
  #headBytes = 0;
  /** Bytes of the current message that follow its head. */
  #bodyBytes = 0;
  #keep = true;
  #isForeign = false;

  /** Bytes came that are no message; from there on everything passes. */
  get isForeign(): boolean {
    return this.#isForeign;
  }

  /** All bytes so far are whole messages. */
  get isBetween(): boolean {
    return !this.#isForeign && this.#headBytes === 0 && this.#bodyBytes === 0;
  }

  /**
   * Takes the next bytes.
   *
   * @param keep called for each message; `false` takes the message out.
   * @returns the bytes of the messages that are kept; up to 15 bytes wait for the rest of a head.
   */
  push(bytes: Uint8Array, keep: (head: MessageHead) => boolean): Uint8Array {
    const out: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      if (this.#isForeign) {
        out.push(bytes.subarray(at));
        break;
      }
      if (this.#bodyBytes > 0) {
        const taken = Math.min(this.#bodyBytes, bytes.length - at);
        if (this.#keep) out.push(bytes.subarray(at, at + taken));
        this.#bodyBytes -= taken;
        at += taken;
        continue;
      }
      const taken = Math.min(HEAD_BYTES - this.#headBytes, bytes.length - at);
      this.#head.set(bytes.subarray(at, at + taken), this.#headBytes);
      this.#headBytes += taken;
      at += taken;
      if (this.#headBytes < HEAD_BYTES) break;
      this.#headBytes = 0;
      const head = readHead(this.#head);
      this.#isForeign = head === undefined;
      this.#bodyBytes = head ? head.length - HEAD_BYTES : 0;
      this.#keep = head ? keep(head) : true;
      if (this.#keep) out.push(this.#head.slice());
    }
    return concat(out);
  }
}
