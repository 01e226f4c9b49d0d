import { type BytePipe, writeAll } from "../io/mod.ts";
import { NbdError } from "./errors.ts";
import {
  askInfo,
  encodeName,
  greet,
  type NbdExportInfo,
  optionReply,
  sendOption,
  view,
} from "./options.ts";
import { type Chunk, Replies, type Request } from "./replies.ts";
import * as wire from "./wire.ts";

/** A range of an export. */
export interface Extent {
  /** Where it begins, bytes. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** It may contain something other than zeroes. */
  readonly isData: boolean;
}

/** Longest read, bytes: every server accepts it (proto.md, "Block size constraints"). */
const MAX_READ = 32 * 1024 * 1024;

/**
 * Reads an export and locates its data (proto.md, "Transmission": NBD_CMD_READ and
 * NBD_CMD_BLOCK_STATUS). Several requests may be under way. Owns the pipe.
 */
export class NbdReader implements Disposable {
  /** Size of the export, bytes. */
  readonly sizeBytes: number;
  readonly #pipe: BytePipe;
  readonly #replies: Replies;
  /** Id of the context base:allocation, if the server has it. */
  readonly #allocation: number | undefined;
  #cookie = 0n;
  #sending: Promise<void> = Promise.resolve();

  /**
   * Opens an export; takes ownership of `pipe`.
   *
   * @throws {NbdError} with the server's reason. The pipe is closed then.
   */
  static async open(pipe: BytePipe, exportName: string): Promise<NbdReader> {
    try {
      await greet(pipe, wire.FLAG_FIXED_NEWSTYLE | wire.FLAG_NO_ZEROES);
      await sendOption(pipe, wire.OPT_STRUCTURED_REPLY, new Uint8Array());
      const isStructured = (await optionReply(pipe, wire.OPT_STRUCTURED_REPLY)).type ===
        wire.REP_ACK;
      const allocation = isStructured ? await askAllocation(pipe, exportName) : undefined;
      const info = await askInfo(pipe, wire.OPT_GO, exportName);
      return new NbdReader(pipe, info, allocation);
    } catch (error) {
      pipe.close();
      throw error;
    }
  }

  private constructor(pipe: BytePipe, info: NbdExportInfo, allocation: number | undefined) {
    this.#pipe = pipe;
    this.#allocation = allocation;
    this.sizeBytes = info.sizeBytes;
    this.#replies = new Replies(pipe);
  }

  /**
   * Reads `length` bytes at `offset`, 32 MiB at most.
   *
   * @throws {NbdError} code `refused` with the server's error, or another one when it is gone.
   * @throws {RangeError} when `length` is more than 32 MiB.
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (length > MAX_READ) {
      throw new RangeError(`Got a read of ${length} bytes, expected ${MAX_READ} at most`);
    }
    const data = new Uint8Array(length);
    await this.#ask(wire.CMD_READ, { offset, length, data, onChunk: () => {} });
    return data;
  }

  /**
   * Locates the data in `length` bytes at `offset`. The server may describe only a first part of the
   * range; the rest is left out. Without base:allocation the whole range counts as data.
   *
   * @throws {NbdError} as {@link read}.
   */
  async extents(offset: number, length: number): Promise<Extent[]> {
    const id = this.#allocation;
    if (id === undefined) return [{ offset, length, isData: true }];
    const extents: Extent[] = [];
    let at = offset;
    const onChunk = ({ type, data }: Chunk) => {
      const numbers = view(data);
      if (type !== wire.REPLY_BLOCK_STATUS || data.length < 4 || numbers.getUint32(0) !== id) {
        return;
      }
      for (let i = 4; i + 8 <= data.length && at < offset + length; i += 8) {
        // The last one may extend beyond the range.
        const bytes = Math.min(numbers.getUint32(i), offset + length - at);
        const flags = numbers.getUint32(i + 4);
        extents.push({ offset: at, length: bytes, isData: (flags & wire.STATE_ZERO) === 0 });
        at += bytes;
      }
    };
    await this.#ask(wire.CMD_BLOCK_STATUS, { offset, length, data: new Uint8Array(), onChunk });
    return extents;
  }

  /** Hangs up. If QEMU serves the export, remove that first: QEMU 7.2 may fail an assertion else. */
  [Symbol.dispose](): void {
    this.#pipe.close();
  }

  async #ask(type: number, request: Omit<Request, "done">): Promise<void> {
    const cookie = ++this.#cookie;
    const answered = this.#replies.expect(cookie, request);
    const message = new Uint8Array(28);
    const numbers = view(message);
    numbers.setUint32(0, wire.REQUEST_MAGIC);
    numbers.setUint16(6, type);
    numbers.setBigUint64(8, cookie);
    numbers.setBigUint64(16, BigInt(request.offset));
    numbers.setUint32(24, request.length);
    this.#sending = this.#sending.then(() => writeAll(this.#pipe, message));
    // The requests that wait fail with the cause.
    this.#sending.catch((error) => this.#replies.fail(error));
    await answered;
  }
}

async function askAllocation(pipe: BytePipe, exportName: string): Promise<number | undefined> {
  const name = encodeName(exportName);
  const query = new TextEncoder().encode(wire.BASE_ALLOCATION);
  const data = new Uint8Array(4 + name.length + 8 + query.length);
  const numbers = view(data);
  numbers.setUint32(0, name.length);
  data.set(name, 4);
  numbers.setUint32(4 + name.length, 1);
  numbers.setUint32(8 + name.length, query.length);
  data.set(query, 12 + name.length);
  await sendOption(pipe, wire.OPT_SET_META_CONTEXT, data);
  let id: number | undefined;
  for (let i = 0; i < 16; i++) {
    const reply = await optionReply(pipe, wire.OPT_SET_META_CONTEXT);
    // Ignore an error here: OPT_GO reports a missing export.
    if (reply.type !== wire.REP_META_CONTEXT) return id;
    if (reply.data.length >= 4) id = view(reply.data).getUint32(0);
  }
  throw new NbdError("protocol-error", "The NBD server sent more than 16 contexts, expected 1");
}
