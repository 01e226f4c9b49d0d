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

/** A stretch of an export, bytes. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
  /** It may hold something other than zeroes. */
  readonly isData: boolean;
}

/** Longest read, bytes: what every server takes. */
const MAX_READ = 32 * 1024 * 1024;

/**
 * Reads an export and asks where its data is: the part of NBD's transmission phase that this takes.
 * Requests may overlap. Owns the pipe.
 */
export class NbdReader implements Disposable {
  /** Bytes. */
  readonly sizeBytes: number;
  readonly #pipe: BytePipe;
  readonly #replies: Replies;
  /** The id of base:allocation, where the server tells holes from data. */
  readonly #allocation: number | undefined;
  #cookie = 0n;
  #sending: Promise<void> = Promise.resolve();

  /**
   * Opens an export.
   *
   * @throws {NbdError} saying what answered, or what the server has against it. The pipe is closed then.
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
   * Reads `length` bytes at `offset`.
   *
   * @throws {NbdError} when the server can't, or is gone.
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (length > MAX_READ) throw new RangeError(`Got a read of ${length} bytes`);
    const data = new Uint8Array(length);
    await this.#ask(wire.CMD_READ, { offset, length, data, onChunk: () => {} });
    return data;
  }

  /**
   * Where the data of this stretch is, as far as the server tells at once; what it does not tell of is
   * left out. Without base:allocation all of it counts as data.
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
        // The last one may reach further than was asked for.
        const bytes = Math.min(numbers.getUint32(i), offset + length - at);
        const flags = numbers.getUint32(i + 4);
        extents.push({ offset: at, length: bytes, isData: (flags & wire.STATE_ZERO) === 0 });
        at += bytes;
      }
    };
    await this.#ask(wire.CMD_BLOCK_STATUS, { offset, length, data: new Uint8Array(), onChunk });
    return extents;
  }

  /** Hangs up. Where QEMU serves the export, it is to be removed before. */
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
    // A server that is gone is heard of by its replies, too.
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
    // An error is no obstacle: OPT_GO tells of an export that is not there.
    if (reply.type !== wire.REP_META_CONTEXT) return id;
    if (reply.data.length >= 4) id = view(reply.data).getUint32(0);
  }
  throw new NbdError("protocol-error", "The NBD server selects more contexts than were asked for");
}
