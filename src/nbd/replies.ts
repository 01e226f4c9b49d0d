import { type BytePipe, messageOf, readFull } from "../io/mod.ts";
import { NbdError } from "./errors.ts";
import { view } from "./options.ts";
import * as wire from "./wire.ts";

/** A chunk of a structured reply that is neither data nor an error. */
export interface Chunk {
  readonly type: number;
  readonly data: Uint8Array;
}

/** A request that is under way. Offsets and lengths in bytes. */
export interface Request {
  readonly offset: number;
  readonly length: number;
  /** Filled by a read; empty for other requests. */
  readonly data: Uint8Array;
  readonly onChunk: (chunk: Chunk) => void;
}

interface Pending extends Request {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  /** From an error chunk; the reply goes on until its last chunk. */
  error?: Error;
}

/** Longest chunk besides data, bytes: far more extents than QEMU sends at once. */
const MAX_CHUNK = 4 * 1024 * 1024;

/**
 * The replies of an NBD server, simple and structured (proto.md, "Simple reply message" and
 * "Structured reply chunk message"), matched to requests by their cookies. Does not own the pipe.
 *
 * @example A simple reply to a read of four bytes
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { memoryPipe } from "../../tests/support/memory_pipe.ts";
 *
 * const [ours, server] = memoryPipe();
 * const replies = new Replies(ours);
 * const data = new Uint8Array(4);
 * const done = replies.expect(1n, { offset: 0, length: 4, data, onChunk() {} });
 *
 * const reply = new DataView(new ArrayBuffer(20));
 * reply.setUint32(0, 0x67446698); // the magic; then error 0, the cookie, the bytes
 * reply.setBigUint64(8, 1n);
 * reply.setUint32(16, 0x01020304);
 * await server.write(new Uint8Array(reply.buffer));
 * await done;
 * assertEquals(data, new Uint8Array([1, 2, 3, 4]));
 * server.close();
 * ```
 */
export class Replies {
  readonly #pipe: BytePipe;
  readonly #pending = new Map<bigint, Pending>();
  #failure: Error | undefined;

  constructor(pipe: BytePipe) {
    this.#pipe = pipe;
    this.#loop().catch((error) => this.fail(error));
  }

  /** Waits for the reply with this cookie; rejects when the request failed or the server is gone. */
  expect(cookie: bigint, request: Request): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#pending.set(cookie, { ...request, resolve, reject });
    });
  }

  /** Fails every waiting and every later request. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof NbdError
      ? error
      : new NbdError("closed", `The NBD server is gone: ${messageOf(error)}`);
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
  }

  async #loop(): Promise<void> {
    const magic = new Uint8Array(4);
    while (await readFull(this.#pipe, magic)) {
      switch (view(magic).getUint32(0)) {
        case wire.SIMPLE_REPLY_MAGIC:
          await this.#simple();
          break;
        case wire.STRUCTURED_REPLY_MAGIC:
          await this.#chunk();
          break;
        default:
          throw new NbdError("protocol-error", "Got a reply without its magic number");
      }
    }
    throw new NbdError("closed", "The NBD server hung up");
  }

  async #simple(): Promise<void> {
    const head = view(await this.#take(12));
    const error = head.getUint32(0);
    const cookie = head.getBigUint64(4);
    const pending = this.#of(cookie);
    if (error === 0) await this.#fill(pending.data);
    this.#finish(cookie, pending, error === 0 ? undefined : failed(error));
  }

  async #chunk(): Promise<void> {
    const head = view(await this.#take(16));
    const [flags, type] = [head.getUint16(0), head.getUint16(2)];
    const cookie = head.getBigUint64(4);
    const length = head.getUint32(12);
    const pending = this.#of(cookie);
    if (type === wire.REPLY_OFFSET_DATA) await this.#data(pending, length);
    else await this.#other(pending, type, length);
    if ((flags & wire.REPLY_FLAG_DONE) !== 0) this.#finish(cookie, pending, pending.error);
  }

  async #data(pending: Pending, length: number): Promise<void> {
    if (length < 9) throw new NbdError("protocol-error", `Got data of ${length} bytes`);
    const at = placeOf(pending, view(await this.#take(8)).getBigUint64(0), length - 8);
    await this.#fill(pending.data.subarray(at, at + length - 8));
  }

  async #other(pending: Pending, type: number, length: number): Promise<void> {
    if (length > MAX_CHUNK) throw new NbdError("protocol-error", `Got a chunk of ${length} bytes`);
    const data = await this.#take(length);
    if ((type & wire.REPLY_ERROR_BIT) !== 0) {
      pending.error ??= failed(data.length >= 4 ? view(data).getUint32(0) : 0);
    } else if (type === wire.REPLY_OFFSET_HOLE) {
      if (length !== 12) throw new NbdError("protocol-error", `Got a hole of ${length} bytes`);
      const hole = view(data).getUint32(8);
      const at = placeOf(pending, view(data).getBigUint64(0), hole);
      pending.data.fill(0, at, at + hole);
    } else if (type !== wire.REPLY_NONE) {
      pending.onChunk({ type, data });
    }
  }

  #of(cookie: bigint): Pending {
    const pending = this.#pending.get(cookie);
    if (pending) return pending;
    throw new NbdError("protocol-error", `Got a reply with the unknown cookie ${cookie}`);
  }

  #finish(cookie: bigint, pending: Pending, error: Error | undefined): void {
    this.#pending.delete(cookie);
    if (error) pending.reject(error);
    else pending.resolve();
  }

  async #take(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.#fill(bytes);
    return bytes;
  }

  async #fill(into: Uint8Array): Promise<void> {
    if (into.length === 0 || await readFull(this.#pipe, into)) return;
    throw new NbdError("closed", "The NBD server hung up inside a reply");
  }
}

/** Where in a read's bytes this part belongs. */
function placeOf(pending: Pending, offset: bigint, length: number): number {
  const at = Number(offset - BigInt(pending.offset));
  if (at >= 0 && at + length <= pending.data.length) return at;
  throw new NbdError("protocol-error", "Got data from outside the requested range");
}

function failed(error: number): NbdError {
  return new NbdError("refused", `The NBD server answered a request with error ${error}`);
}
