/**
 * The server's side of the last requests of an NBD connection whose data has been flushed: QEMU's
 * client flushes once more when it closes, then disconnects. Source: the NBD project's doc/proto.md,
 * "Request message" and "Extended request message"; QEMU sends extended ones since 8.2, to a server
 * that supports them.
 *
 * @module
 */
import { concat } from "@std/bytes/concat";
import {
  CMD_FLUSH,
  EXTENDED_REPLY_MAGIC,
  EXTENDED_REQUEST_MAGIC,
  REPLY_FLAG_DONE,
  REQUEST_MAGIC,
  SIMPLE_REPLY_MAGIC,
} from "../wire.ts";

const REQUEST_BYTES = 28;
const EXTENDED_BYTES = 32;

/** The reaction to bytes of the client. */
export interface LastReplies {
  /** Send these to the client. */
  readonly replies: Uint8Array<ArrayBuffer>[];
  /** The client has disconnected, or sent another request than a flush: close the connection. */
  readonly over: boolean;
}

/**
 * Answers flushes with success, and nothing else. Feed it the client's bytes from the first byte of a
 * request on.
 */
export class LastRequests {
  #rest = new Uint8Array(0);

  /** Takes bytes, which may end inside a request. Never throws. */
  take(bytes: Uint8Array): LastReplies {
    const all = concat([this.#rest, bytes]);
    const replies: Uint8Array<ArrayBuffer>[] = [];
    let at = 0;
    while (all.length - at >= REQUEST_BYTES) {
      const view = new DataView(all.buffer, at);
      const magic = view.getUint32(0);
      const isExtended = magic === EXTENDED_REQUEST_MAGIC;
      if (isExtended && all.length - at < EXTENDED_BYTES) break;
      const isKnown = isExtended || magic === REQUEST_MAGIC;
      if (!isKnown || view.getUint16(6) !== CMD_FLUSH) return { replies, over: true };
      replies.push(isExtended ? extendedReply(view) : simpleReply(view));
      at += isExtended ? EXTENDED_BYTES : REQUEST_BYTES;
    }
    this.#rest = all.slice(at);
    return { replies, over: false };
  }
}

function simpleReply(request: DataView): Uint8Array<ArrayBuffer> {
  const reply = new DataView(new ArrayBuffer(16));
  reply.setUint32(0, SIMPLE_REPLY_MAGIC);
  reply.setBigUint64(8, request.getBigUint64(8)); // the cookie; no error before it
  return new Uint8Array(reply.buffer);
}

function extendedReply(request: DataView): Uint8Array<ArrayBuffer> {
  const reply = new DataView(new ArrayBuffer(32));
  reply.setUint32(0, EXTENDED_REPLY_MAGIC);
  reply.setUint16(4, REPLY_FLAG_DONE); // its type is NBD_REPLY_TYPE_NONE: 0
  reply.setBigUint64(8, request.getBigUint64(8));
  reply.setBigUint64(16, request.getBigUint64(16));
  return new Uint8Array(reply.buffer);
}
