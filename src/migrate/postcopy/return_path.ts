/**
 * The messages of a destination that has every page (the layout is in stream_wire.ts). Pure.
 *
 * @module
 */
import * as wire from "./stream_wire.ts";

/** The answer to a ping; `payload` is the ping's. */
export function pong(payload: Uint8Array): Uint8Array {
  return message(wire.RP_PONG, payload);
}

/** Post-copy goes on. */
export function resumeAck(): Uint8Array {
  return message(wire.RP_RESUME_ACK, u32(wire.RESUME_ACK_VALUE));
}

/** The destination has loaded everything without an error. */
export function shut(): Uint8Array {
  return message(wire.RP_SHUT, u32(0));
}

/** Bytes of a bitmap that one portion has at most. */
const PORTION = 64 * 1024;

/**
 * Every page of a block has been received, in portions of at most 64 KiB: 1 TiB of RAM has a bitmap of
 * 32 MiB.
 *
 * @param name the block's, up to 255 bytes.
 * @param pages how many pages the block has.
 */
export function* everyPage(name: Uint8Array, pages: number): Generator<Uint8Array> {
  // QEMU sends and expects bitmaps in whole words of 64 bits.
  let left = Math.ceil(pages / 64) * 8;
  const head = new Uint8Array(1 + name.length);
  head[0] = name.length;
  head.set(name, 1);
  yield message(wire.RP_RECV_BITMAP, head);
  yield u64(BigInt(left));
  const ones = new Uint8Array(Math.min(left, PORTION)).fill(0xff);
  for (; left > 0; left -= PORTION) yield ones.subarray(0, left);
  yield u64(wire.BITMAP_END);
}

function message(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, type);
  view.setUint16(2, payload.length);
  bytes.set(payload, 4);
  return bytes;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}
