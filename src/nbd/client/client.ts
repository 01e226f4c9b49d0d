import {
  type BytePipe,
  type Clock,
  DeadlineError,
  messageOf,
  systemClock,
  withDeadline,
} from "../../io/mod.ts";
import type {
  Abilities,
  BlockDevice,
  BlockExtent,
  BlockSize,
  ByteRange,
  StatusOptions,
  WriteOptions,
  ZeroOptions,
} from "../device.ts";
import { NbdDeviceError, NbdError } from "../errors.ts";
import * as wire from "../wire.ts";
import { Exchange, type Question } from "./exchange.ts";
import { negotiate, type Opened } from "./negotiate.ts";
import type { Answer, StatusExtent } from "./pending.ts";

/** How to open an export. */
export interface ClientOptions {
  /** Requests under way at once, at most; the others wait. Default 64. */
  readonly maxRequests?: number;
  /** Deadline of the negotiation, and of the goodbye in `close`, ms. Default 10000. */
  readonly timeoutMs?: number;
  /** Default: the machine's own. */
  readonly clock?: Clock;
  /** The metadata context that `status` asks for. Default `base:allocation`. */
  readonly context?: string;
}

/** Longest range of a request without data, bytes: 4 GiB less the largest minimum block. */
const MAX_EFFECT = 2 ** 32 - wire.MAX_MINIMUM_BLOCK;

/**
 * An export of an NBD server as a block device. Requests are pipelined; replies may come in any order.
 * A request longer than the server takes is split. Requests have no deadline of their own: a disk may
 * take its time, and the owner of the pipe knows when the connection is lost.
 *
 * Throws {@link NbdDeviceError} when the server refuses a request, or when it would have to;
 * {@link NbdError} when the server is gone (`closed`) or broke the protocol (`protocol-error`). The
 * latter two fail every later request.
 */
export class NbdClient implements BlockDevice, Disposable {
  /** Bytes. */
  readonly sizeBytes: number;
  /** Writing requests are refused with EPERM. */
  readonly readOnly: boolean;
  /** As the server has described it. */
  readonly blockSize: BlockSize;
  /** `fua` also if it is done by a flush after the write. */
  readonly can: Abilities;
  readonly #server: Opened;
  readonly #exchange: Exchange;

  /**
   * Opens an export; takes ownership of `pipe`.
   *
   * @throws {NbdError} with the server's reason, or `timeout`. The pipe is closed then.
   */
  static async open(
    pipe: BytePipe,
    exportName: string,
    options: ClientOptions = {},
  ): Promise<NbdClient> {
    const { clock = systemClock, timeoutMs = 10_000, context = wire.BASE_ALLOCATION } = options;
    const { maxRequests = 64 } = options;
    try {
      const what = `NBD export "${exportName}"`;
      const opening = negotiate(pipe, exportName, context);
      // It fails by itself once the pipe is closed.
      opening.catch(() => {});
      const opened = await withDeadline(clock, timeoutMs, what, opening);
      const exchange = new Exchange(pipe, opened, { maxRequests, timeoutMs, clock });
      return new NbdClient(opened, exchange);
    } catch (error) {
      pipe.close();
      if (error instanceof NbdError) throw error;
      const code = error instanceof DeadlineError ? "timeout" : "closed";
      throw new NbdError(code, messageOf(error), { cause: error });
    }
  }

  private constructor(server: Opened, exchange: Exchange) {
    this.#server = server;
    this.#exchange = exchange;
    this.sizeBytes = server.sizeBytes;
    this.readOnly = server.readOnly;
    this.blockSize = server.blockSize;
    this.can = { ...server.can, fua: server.can.fua || server.can.flush };
  }

  async read(offset: number, into: Uint8Array): Promise<readonly ByteRange[]> {
    const one = async (at: number, length: number) => {
      const part = into.subarray(at - offset, at - offset + length);
      return (await this.#ask(wire.CMD_READ, 0, at, length, { into: part })).holes;
    };
    if (into.length <= this.blockSize.maximum) return await one(offset, into.length);
    return (await this.#split(offset, into.length, this.blockSize.maximum, one)).flat();
  }

  async write(offset: number, bytes: Uint8Array, { fua }: WriteOptions = {}): Promise<void> {
    const one = async (at: number, length: number) => {
      const data = bytes.subarray(at - offset, at - offset + length);
      await this.#ask(wire.CMD_WRITE, this.#fua(fua), at, length, { data });
    };
    await this.#split(offset, bytes.length, this.blockSize.maximum, one);
    await this.#afterwards(fua);
  }

  async writeZeroes(
    offset: number,
    length: number,
    { fua, noHole, fast }: ZeroOptions = {},
  ): Promise<void> {
    const flags = this.#fua(fua) | (noHole ? wire.CMD_FLAG_NO_HOLE : 0) |
      (fast ? wire.CMD_FLAG_FAST_ZERO : 0);
    await this.#effect(wire.CMD_WRITE_ZEROES, flags, offset, length);
    await this.#afterwards(fua);
  }

  async trim(offset: number, length: number, { fua }: WriteOptions = {}): Promise<void> {
    await this.#effect(wire.CMD_TRIM, this.#fua(fua), offset, length);
    await this.#afterwards(fua);
  }

  async flush(): Promise<void> {
    await this.#ask(wire.CMD_FLUSH, 0, 0, 0);
  }

  async cache(offset: number, length: number): Promise<void> {
    // QEMU refuses longer ones, though they have no payload.
    await this.#effect(wire.CMD_CACHE, 0, offset, length, this.blockSize.maximum);
  }

  async blockStatus(
    offset: number,
    length: number,
    options: StatusOptions = {},
  ): Promise<readonly BlockExtent[]> {
    return (await this.status(offset, length, options)).map(({ length, flags }) => ({
      length,
      hole: (flags & wire.STATE_HOLE) !== 0,
      zero: (flags & wire.STATE_ZERO) !== 0,
    }));
  }

  /** As `blockStatus`, with the flags of the metadata context as they came. */
  async status(
    offset: number,
    length: number,
    { one = false }: StatusOptions = {},
  ): Promise<readonly StatusExtent[]> {
    const asked = Math.min(length, MAX_EFFECT);
    const flags = one ? wire.CMD_FLAG_REQ_ONE : 0;
    const { status } = await this.#ask(wire.CMD_BLOCK_STATUS, flags, offset, asked);
    // The last one may extend beyond the range.
    const excess = status.reduce((sum, extent) => sum + extent.length, 0) - asked;
    if (excess > 0) {
      const last = status.pop()!;
      status.push({ ...last, length: last.length - excess });
    }
    return status;
  }

  /** Waits for the requests under way, says goodbye (NBD_CMD_DISC), hangs up. Never rejects. */
  close(): Promise<void> {
    return this.#exchange.close();
  }

  /** Hangs up at once. Requests under way fail. */
  [Symbol.dispose](): void {
    this.#exchange.abort();
  }

  #fua(fua: boolean | undefined): number {
    return fua && this.#server.can.fua ? wire.CMD_FLAG_FUA : 0;
  }

  /** A flush in place of the FUA that the server does not know. */
  async #afterwards(fua: boolean | undefined): Promise<void> {
    if (fua && !this.#server.can.fua && this.#server.can.flush) await this.flush();
  }

  /** A request without data. A server may find one too large that is longer than its payloads. */
  async #effect(
    type: number,
    flags: number,
    offset: number,
    length: number,
    most = MAX_EFFECT,
  ): Promise<void> {
    await this.#split(offset, length, most, async (at, part) => {
      try {
        await this.#ask(type, flags, at, part);
      } catch (error) {
        const { maximum } = this.blockSize;
        const isTooLong = error instanceof NbdDeviceError && error.errno === "EOVERFLOW";
        if (!isTooLong || part <= maximum) throw error;
        await this.#effect(type, flags, at, part, maximum);
      }
    });
  }

  /** Does a range in pieces of at most `maximum` bytes, one after the other. */
  async #split<T>(
    offset: number,
    length: number,
    maximum: number,
    one: (offset: number, length: number) => Promise<T>,
  ): Promise<T[]> {
    const piece = maximum - maximum % this.blockSize.minimum;
    const results: T[] = [];
    let at = offset;
    do {
      const part = Math.min(piece, offset + length - at);
      results.push(await one(at, part));
      at += part;
    } while (at < offset + length);
    return results;
  }

  #ask(
    type: number,
    flags: number,
    offset: number,
    length: number,
    data: Pick<Question, "into" | "data"> = {},
  ): Promise<Answer> {
    return this.#exchange.ask({ type, flags, offset, length, ...data });
  }
}
