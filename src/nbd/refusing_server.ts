/**
 * The server's side of NBD, for a client that must be told that its server is gone: every export is
 * there and every request fails. QEMU's client waits for a server that it lost, for as long as its
 * reconnect-delay, and QEMU as a whole may wait with it; an error is what it can go on with.
 *
 * @module
 */
import { type BytePipe, readFull, writeAll } from "../io/mod.ts";
import { NbdError } from "./errors.ts";
import * as wire from "./wire.ts";

/** Longest option data that is read, bytes. */
const MAX_OPTION = 64 * 1024;
/** Options a client may ask for before it goes on. */
const MAX_OPTIONS = 64;
/** Longest write that is read past, bytes; QEMU sends up to 32 MiB. */
const MAX_WRITE = 64 * 1024 * 1024;
const EXPORT_FLAGS = wire.FLAG_HAS_FLAGS | wire.FLAG_SEND_FLUSH | wire.FLAG_SEND_FUA |
  wire.FLAG_SEND_TRIM | wire.FLAG_SEND_WRITE_ZEROES;
const EIO = 5;

/**
 * Serves one client until it leaves. Owns the pipe.
 *
 * @param sizeOf size of an export, bytes, or `undefined` for one that there never was.
 * @throws {NbdError} when the client does not speak the protocol; the pipe's errors.
 */
export async function refuseRequests(
  pipe: BytePipe,
  sizeOf: (exportName: string) => number | undefined,
): Promise<void> {
  try {
    if (await negotiate(pipe, sizeOf)) await refuseAll(pipe);
  } finally {
    pipe.close();
  }
}

/** @returns whether the client has chosen an export. */
async function negotiate(
  pipe: BytePipe,
  sizeOf: (exportName: string) => number | undefined,
): Promise<boolean> {
  const greeting = new DataView(new ArrayBuffer(18));
  greeting.setBigUint64(0, wire.NBDMAGIC);
  greeting.setBigUint64(8, wire.IHAVEOPT);
  greeting.setUint16(16, wire.FLAG_FIXED_NEWSTYLE | wire.FLAG_NO_ZEROES);
  await writeAll(pipe, new Uint8Array(greeting.buffer));
  if (!await readFull(pipe, new Uint8Array(4))) return false;
  const head = new Uint8Array(16);
  for (let options = 0; options < MAX_OPTIONS; options++) {
    if (!await readFull(pipe, head)) return false;
    const view = new DataView(head.buffer);
    const [option, length] = [view.getUint32(8), view.getUint32(12)];
    if (view.getBigUint64(0) !== wire.IHAVEOPT || length > MAX_OPTION) {
      throw new NbdError("not-nbd", "The client sent what is no option");
    }
    const data = new Uint8Array(length);
    if (length > 0) await readFull(pipe, data);
    if (option === wire.OPT_ABORT) {
      await reply(pipe, option, wire.REP_ACK);
      return false;
    }
    if (option !== wire.OPT_GO) {
      await reply(pipe, option, wire.REP_ERR_UNSUP);
      continue;
    }
    const nameLength = length >= 4 ? new DataView(data.buffer).getUint32(0) : 0;
    const size = sizeOf(new TextDecoder().decode(data.subarray(4, 4 + nameLength)));
    if (size === undefined) {
      await reply(pipe, option, wire.REP_ERR_UNKNOWN);
      continue;
    }
    const info = new DataView(new ArrayBuffer(12));
    info.setUint16(0, wire.INFO_EXPORT);
    info.setBigUint64(2, BigInt(size));
    info.setUint16(10, EXPORT_FLAGS);
    await reply(pipe, option, wire.REP_INFO, new Uint8Array(info.buffer));
    await reply(pipe, option, wire.REP_ACK);
    return true;
  }
  throw new NbdError("not-nbd", `The client asked for more than ${MAX_OPTIONS} options`);
}

async function reply(
  pipe: BytePipe,
  option: number,
  type: number,
  data: Uint8Array = new Uint8Array(0),
): Promise<void> {
  const bytes = new Uint8Array(20 + data.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, wire.OPTION_REPLY_MAGIC);
  view.setUint32(8, option);
  view.setUint32(12, type);
  view.setUint32(16, data.length);
  bytes.set(data, 20);
  await writeAll(pipe, bytes);
}

async function refuseAll(pipe: BytePipe): Promise<void> {
  const request = new Uint8Array(wire.REQUEST_LENGTH);
  const scrap = new Uint8Array(256 * 1024);
  const answer = new Uint8Array(wire.SIMPLE_REPLY_LENGTH);
  const out = new DataView(answer.buffer);
  out.setUint32(0, wire.SIMPLE_REPLY_MAGIC);
  out.setUint32(4, EIO);
  while (await readFull(pipe, request)) {
    const view = new DataView(request.buffer);
    const [type, length] = [view.getUint16(6), view.getUint32(24)];
    if (view.getUint32(0) !== wire.REQUEST_MAGIC) {
      throw new NbdError("not-nbd", "The client sent what is no request");
    }
    if (type === wire.CMD_DISC) return;
    if (type === wire.CMD_WRITE) {
      if (length > MAX_WRITE) throw new NbdError("not-nbd", `A write of ${length} bytes`);
      for (let left = length; left > 0;) {
        const part = scrap.subarray(0, Math.min(left, scrap.length));
        if (!await readFull(pipe, part)) return;
        left -= part.length;
      }
    }
    answer.set(request.subarray(8, 16), 8);
    await writeAll(pipe, answer);
  }
}
