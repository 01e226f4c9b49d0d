import { type BytePipe, messageOf, printable, UnexpectedEndError } from "../../io/mod.ts";
import { u64, view } from "../bytes.ts";
import { NbdError } from "../errors.ts";
import { Input } from "../input.ts";
import * as wire from "../wire.ts";
import { Coverage } from "./coverage.ts";
import {
  type Answer,
  type Asked,
  broken,
  checkWhole,
  failed,
  type Pending,
  placeOf,
} from "./pending.ts";

/** Extents that are kept of a reply; a server may always send fewer than there are. */
const MAX_EXTENTS = 1 << 14;
/** Holes that are kept of a read; the rest counts as data. */
const MAX_HOLES = 1 << 12;
/** Extents in a chunk, at most (proto.md, "NBD_REPLY_TYPE_BLOCK_STATUS"). */
const MAX_CHUNK_EXTENTS = 1 << 20;
/** Longest error chunk, bytes: its numbers and a string. */
const MAX_ERROR = 14 + wire.MAX_STRING;

/**
 * The replies of an NBD server, simple and structured (proto.md, "Simple reply message" and
 * "Structured reply chunk message"), matched to requests by their cookies. A server that breaks the
 * protocol fails every request, and the pipe is closed.
 *
 * @example A simple reply to a read of four bytes
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { memoryPipe } from "../../../tests/support/memory_pipe.ts";
 *
 * const [ours, server] = memoryPipe();
 * const replies = new Replies(ours, { structured: false, context: undefined });
 * const into = new Uint8Array(4);
 * const done = replies.expect(1, { type: 0, flags: 0, offset: 0, length: 4, into });
 *
 * const reply = new DataView(new ArrayBuffer(20));
 * reply.setUint32(0, 0x67446698); // the magic; then error 0, the cookie, the bytes
 * reply.setBigUint64(8, 1n);
 * reply.setUint32(16, 0x01020304);
 * await server.write(new Uint8Array(reply.buffer));
 * await done;
 * assertEquals(into, new Uint8Array([1, 2, 3, 4]));
 * server.close();
 * ```
 */
export class Replies {
  readonly #pipe: BytePipe;
  readonly #input: Input;
  readonly #structured: boolean;
  readonly #context: number | undefined;
  readonly #pending = new Map<number, Pending>();
  #failure: Error | undefined;
  /** The read whose bytes arrive just now. */
  #filling: Pending | undefined;

  constructor(
    pipe: BytePipe,
    negotiated: { readonly structured: boolean; readonly context: number | undefined },
  ) {
    this.#pipe = pipe;
    this.#input = new Input(pipe);
    this.#structured = negotiated.structured;
    this.#context = negotiated.context;
    this.#loop().catch((error) => this.fail(error));
  }

  /** A request with this cookie is under way. */
  has(cookie: number): boolean {
    return this.#pending.has(cookie);
  }

  /** Why every request fails, once the connection is lost. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Waits for the reply with this cookie.
   *
   * @throws {NbdDeviceError} with the server's error.
   * @throws {NbdError} when the server is gone or broke the protocol.
   */
  expect(cookie: number, asked: Asked): Promise<Answer> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const coverage = new Coverage(asked.length);
      const found = { holes: [], status: [], hasStatus: false };
      this.#pending.set(cookie, { ...asked, ...found, coverage, resolve, reject });
    });
  }

  /** Fails every waiting and every later request, and closes the pipe. */
  fail(error: unknown): void {
    if (this.#failure) return;
    if (error instanceof UnexpectedEndError) {
      error = new NbdError("closed", "The NBD server hung up inside a reply", { cause: error });
    }
    this.#failure = error instanceof NbdError
      ? error
      : new NbdError("closed", `The NBD server is gone: ${messageOf(error)}`, { cause: error });
    for (const pending of this.#pending.values()) {
      // Not the buffer that the pipe still writes to: its owner would use it for something else.
      if (pending !== this.#filling) pending.reject(this.#failure);
    }
    this.#pending.clear();
    this.#pipe.close();
  }

  async #loop(): Promise<void> {
    for (let magic; (magic = await this.#input.take(4)) !== undefined && !this.#failure;) {
      switch (view(magic).getUint32(0)) {
        case wire.SIMPLE_REPLY_MAGIC:
          await this.#simple();
          break;
        case wire.STRUCTURED_REPLY_MAGIC:
          await this.#chunk();
          break;
        default:
          throw broken("Got a reply without its magic number");
      }
    }
    throw new NbdError("closed", "The NBD server hung up");
  }

  async #simple(): Promise<void> {
    const head = view(await this.#take(wire.SIMPLE_REPLY_BYTES - 4));
    const error = head.getUint32(0);
    const [cookie, pending] = this.#of(head, 4);
    if (this.#structured && pending.type === wire.CMD_READ) {
      throw broken("Got a simple reply to a read, expected a structured one");
    }
    if (pending.type === wire.CMD_BLOCK_STATUS && error === 0) {
      throw broken("Got a simple reply to a block status, expected a structured one");
    }
    if (error === 0 && pending.into) await this.#fill(pending, pending.into);
    this.#finish(cookie, pending, error === 0 ? undefined : failed(error, ""));
  }

  async #chunk(): Promise<void> {
    const head = view(await this.#take(wire.CHUNK_BYTES - 4));
    if (!this.#structured) throw broken("Got a structured reply, which was not negotiated");
    const isLast = (head.getUint16(0) & wire.REPLY_FLAG_DONE) !== 0;
    const type = head.getUint16(2);
    const length = head.getUint32(12);
    const [cookie, pending] = this.#of(head, 4);
    if ((type & wire.REPLY_ERROR_BIT) !== 0) await this.#error(pending, length);
    else await this.#content(pending, type, length, isLast);
    if (!isLast) return;
    if (!pending.error) checkWhole(pending);
    this.#finish(cookie, pending, pending.error);
  }

  async #content(pending: Pending, type: number, length: number, isLast: boolean): Promise<void> {
    const isFor = (command: number) => pending.type === command;
    switch (type) {
      case wire.REPLY_NONE:
        if (length === 0 && isLast) return;
        break;
      case wire.REPLY_OFFSET_DATA:
        if (isFor(wire.CMD_READ) && length > 8) return await this.#data(pending, length - 8);
        break;
      case wire.REPLY_OFFSET_HOLE:
        if (isFor(wire.CMD_READ) && length === 12) return await this.#hole(pending);
        break;
      case wire.REPLY_BLOCK_STATUS:
        if (isFor(wire.CMD_BLOCK_STATUS) && length >= 12 && length % 8 === 4) {
          return await this.#status(pending, (length - 4) / 8);
        }
    }
    throw broken(`Got a chunk of type ${type} and ${length} bytes to command ${pending.type}`);
  }

  async #data(pending: Pending, length: number): Promise<void> {
    const at = placeOf(pending, u64(view(await this.#take(8)), 0), length);
    await this.#fill(pending, pending.into!.subarray(at, at + length));
  }

  async #fill(pending: Pending, into: Uint8Array): Promise<void> {
    this.#filling = pending;
    try {
      await this.#input.fill(into);
    } finally {
      this.#filling = undefined;
      if (this.#failure) pending.reject(this.#failure);
    }
  }

  async #hole(pending: Pending): Promise<void> {
    const numbers = view(await this.#take(12));
    const [offset, length] = [u64(numbers, 0), numbers.getUint32(8)];
    const at = placeOf(pending, offset, length);
    pending.into!.fill(0, at, at + length);
    const last = pending.holes.at(-1);
    if (last && last.offset + last.length === offset) {
      pending.holes[pending.holes.length - 1] = { ...last, length: last.length + length };
    } else if (pending.holes.length < MAX_HOLES) {
      pending.holes.push({ offset, length });
    }
  }

  async #status(pending: Pending, count: number): Promise<void> {
    const limit = (pending.flags & wire.CMD_FLAG_REQ_ONE) !== 0 ? 1 : MAX_CHUNK_EXTENTS;
    if (count > limit) throw broken(`Got ${count} extents, expected ${limit} at most`);
    const id = view(await this.#take(4)).getUint32(0);
    // Exactly one chunk a context, and one context was selected.
    if (id !== this.#context || pending.hasStatus) {
      throw broken(`Got the status of context ${id} besides the one that was selected`);
    }
    pending.hasStatus = true;
    let described = 0;
    for (let i = 0; i < count; i++) {
      const numbers = view(await this.#take(8));
      const length = numbers.getUint32(0);
      if (length === 0 || described >= pending.length) {
        throw broken("Got an extent that is empty or begins after the range");
      }
      if (i < MAX_EXTENTS) pending.status.push({ length, flags: numbers.getUint32(4) });
      described += length;
    }
  }

  async #error(pending: Pending, length: number): Promise<void> {
    if (length < 6 || length > MAX_ERROR) throw broken(`Got an error of ${length} bytes`);
    const data = await this.#take(length);
    const textLength = view(data).getUint16(4);
    if (textLength > length - 6) throw broken("Got an error whose message is longer than itself");
    const text = printable(new TextDecoder().decode(data.subarray(6, 6 + textLength)), 300);
    pending.error ??= failed(view(data).getUint32(0), text);
  }

  #of(head: DataView, at: number): [number, Pending] {
    const cookie = head.getUint32(at + 4);
    const pending = head.getUint32(at) === 0 ? this.#pending.get(cookie) : undefined;
    if (pending) return [cookie, pending];
    throw broken(`Got a reply with the unknown cookie ${head.getBigUint64(at)}`);
  }

  #finish(cookie: number, pending: Pending, error: Error | undefined): void {
    this.#pending.delete(cookie);
    if (error) pending.reject(error);
    else {
      // Chunks may come in any order.
      pending.holes.sort((a, b) => a.offset - b.offset);
      pending.resolve(pending);
    }
  }

  async #take(length: number): Promise<Uint8Array> {
    const bytes = await this.#input.take(length);
    if (bytes) return bytes;
    throw new UnexpectedEndError(0, length);
  }
}
