/**
 * Requests and replies of the transmission phase (proto.md, "Transmission"), one at a time.
 *
 * @module
 */
import { type BytePipe, printable, readFull, UnexpectedEndError, writeAll } from "../io/mod.ts";
import { NbdError } from "./errors.ts";
import * as wire from "./wire.ts";

/** What is asked of the server. Sizes in bytes. */
export interface NbdRequest {
  readonly type: number;
  readonly cookie: bigint;
  readonly offset: number;
  readonly length: number;
}

/** A request as bytes. */
export function encodeRequest(request: NbdRequest): Uint8Array {
  const bytes = new Uint8Array(wire.REQUEST_LENGTH);
  const view = viewOf(bytes);
  view.setUint32(0, wire.REQUEST_MAGIC);
  view.setUint16(6, request.type);
  view.setBigUint64(8, request.cookie);
  view.setBigUint64(16, BigInt(request.offset));
  view.setUint32(24, request.length);
  return bytes;
}

const COOKIE = 0x766d66657272790an;
/** Longest range that one call reads, bytes; also what every server takes at least. */
const MAX_READ = 32 * 1024 * 1024;
/** Longest text of an error chunk that is read, bytes. */
const MAX_ERROR = 4096 + 6 + 8;

/**
 * Reads a range of the export.
 *
 * @throws {NbdError} code `read-failed` with the server's error, `protocol-error`, or `closed`.
 */
export async function readRange(
  pipe: BytePipe,
  range: { readonly offset: number; readonly length: number; readonly structured: boolean },
): Promise<Uint8Array> {
  const { offset, length, structured } = range;
  if (length > MAX_READ) throw new RangeError(`Got ${length} bytes, expected at most ${MAX_READ}`);
  const request = { type: wire.CMD_READ, cookie: COOKIE, offset, length };
  await writeAll(pipe, encodeRequest(request));
  return structured ? await readChunks(pipe, request) : await readSimple(pipe, request);
}

async function readSimple(pipe: BytePipe, request: NbdRequest): Promise<Uint8Array> {
  const head = viewOf(await take(pipe, wire.SIMPLE_REPLY_LENGTH));
  checkMagic(head, wire.SIMPLE_REPLY_MAGIC);
  checkCookie(head.getBigUint64(8), request);
  const error = head.getUint32(4);
  if (error !== 0) throw readError(error, "");
  return await take(pipe, request.length);
}

async function readChunks(pipe: BytePipe, request: NbdRequest): Promise<Uint8Array> {
  const data = new Uint8Array(request.length);
  let failure: NbdError | undefined;
  let filled = 0;
  while (true) {
    const head = viewOf(await take(pipe, wire.CHUNK_HEADER_LENGTH));
    checkMagic(head, wire.CHUNK_MAGIC);
    const type = head.getUint16(6);
    const length = head.getUint32(16);
    checkCookie(head.getBigUint64(8), request);
    if (type >= wire.CHUNK_ERROR_BIT) {
      if (length < 6 || length > MAX_ERROR) throw badChunk(type, length);
      failure ??= errorOf(await take(pipe, length));
    } else if (type === wire.CHUNK_OFFSET_DATA) {
      if (length < 9 || length > 8 + data.length) throw badChunk(type, length);
      const payload = await take(pipe, length);
      const at = place(viewOf(payload).getBigUint64(0), length - 8, request);
      data.set(payload.subarray(8), at);
      filled += length - 8;
    } else if (type === wire.CHUNK_OFFSET_HOLE) {
      if (length !== 12) throw badChunk(type, length);
      const payload = viewOf(await take(pipe, length));
      const size = payload.getUint32(8);
      const at = place(payload.getBigUint64(0), size, request);
      data.fill(0, at, at + size);
      filled += size;
    } else if (type !== wire.CHUNK_NONE || length !== 0) {
      throw badChunk(type, length);
    }
    if ((head.getUint16(4) & wire.CHUNK_FLAG_DONE) === 0) {
      if (filled > data.length) throw protocolError("The NBD server sent more than was asked for");
      continue;
    }
    if (failure) throw failure;
    if (filled !== data.length) {
      throw protocolError(`The NBD server sent ${filled} of ${data.length} bytes`);
    }
    return data;
  }
}

/** Says goodbye (NBD_CMD_DISC) and waits for the server to hang up. */
export async function disconnect(pipe: BytePipe): Promise<void> {
  await writeAll(
    pipe,
    encodeRequest({ type: wire.CMD_DISC, cookie: COOKIE, offset: 0, length: 0 }),
  );
  await pipe.closeWrite();
  const scrap = new Uint8Array(64);
  while (await pipe.read(scrap) !== null) {
    // A server has nothing to say any more; whatever comes is not looked at.
  }
}

/** Where a chunk goes within what was asked for. */
function place(offset: bigint, size: number, request: NbdRequest): number {
  const at = offset - BigInt(request.offset);
  if (at < 0n || at + BigInt(size) > BigInt(request.length)) {
    throw protocolError(`Got ${size} bytes at ${offset}, outside of what was asked for`);
  }
  return Number(at);
}

function errorOf(payload: Uint8Array): NbdError {
  const view = viewOf(payload);
  const length = view.getUint16(4);
  if (6 + length > payload.length) throw protocolError("Got an error text longer than its chunk");
  return readError(
    view.getUint32(0),
    printable(new TextDecoder().decode(payload.subarray(6, 6 + length))),
  );
}

function readError(number: number, text: string): NbdError {
  const name = wire.ERRORS[number] ?? `error ${number}`;
  return new NbdError("read-failed", `The export can't be read: ${name}${text && ` (${text})`}`);
}

function checkMagic(head: DataView, expected: number): void {
  const got = head.getUint32(0);
  if (got !== expected) {
    throw protocolError(
      `Got a reply that begins with 0x${got.toString(16)}, expected 0x${expected.toString(16)}`,
    );
  }
}

function checkCookie(got: bigint, request: NbdRequest): void {
  if (got !== request.cookie) throw protocolError(`Got a reply to a request that was never made`);
}

function badChunk(type: number, length: number): NbdError {
  return protocolError(`Got a reply chunk of type ${type} with ${length} bytes`);
}

function protocolError(message: string): NbdError {
  return new NbdError("protocol-error", message);
}

async function take(pipe: BytePipe, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  try {
    if (length === 0 || await readFull(pipe, bytes)) return bytes;
  } catch (error) {
    if (!(error instanceof UnexpectedEndError)) throw error;
  }
  throw new NbdError("closed", "The NBD server hung up in the middle of its reply");
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
