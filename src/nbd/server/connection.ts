import { type BytePipe, messageOf } from "../../io/mod.ts";
import { Budget } from "../budget.ts";
import type { BlockDevice } from "../device.ts";
import { NbdDeviceError, NbdError } from "../errors.ts";
import { Input } from "../input.ts";
import { Output } from "../output.ts";
import type { BufferPool } from "../pool.ts";
import { decodeRequest, fault, type Request } from "../request.ts";
import * as wire from "../wire.ts";
import { type Chosen, CONTEXT_ID } from "./negotiate.ts";
import { errorReply, readChunks, simpleReply, statusChunk } from "./reply.ts";

/** Bounds of one connection. */
export interface ConnectionLimits {
  /** Requests that are carried out at once, or whose replies the client has not taken. */
  readonly maxRequests: number;
  /** Data of those requests, bytes; at least 32 MiB. */
  readonly maxBytes: number;
}

/** The extents of a block status in memory, bytes, about. */
const STATUS_BYTES = 1 << 20;

/**
 * The server's side of the transmission phase (proto.md, "Transmission"): carries out requests in
 * parallel and answers each when it is done. A client that does not take its replies is not read from
 * either, once the bounds are reached.
 */
export class Connection {
  readonly #device: BlockDevice;
  readonly #structured: boolean;
  readonly #negotiated: { readonly structured: boolean; readonly context: boolean };
  readonly #input: Input;
  readonly #output: Output;
  readonly #pool: BufferPool;
  readonly #slots: Budget;
  readonly #memory: Budget;
  readonly #tasks = new Set<Promise<void>>();
  /** Rejects when the device is gone. */
  readonly #lost = Promise.withResolvers<never>();
  #isEnding = false;

  /** Does not own the pipe nor the device. */
  constructor(pipe: BytePipe, chosen: Chosen, pool: BufferPool, limits: ConnectionLimits) {
    this.#device = chosen.device;
    this.#structured = chosen.structured;
    this.#negotiated = chosen;
    this.#input = new Input(pipe);
    this.#output = new Output(pipe);
    this.#pool = pool;
    this.#slots = new Budget(limits.maxRequests);
    this.#lost.promise.catch(() => {});
    this.#memory = new Budget(Math.max(limits.maxBytes, wire.MAX_PAYLOAD));
  }

  /** Requests that are not answered yet. */
  get requests(): number {
    return this.#slots.taken;
  }

  /** Refuses every further request with ESHUTDOWN. */
  refuse(): void {
    this.#isEnding = true;
  }

  /**
   * Serves until the client leaves. Requests may still be under way then: see {@link idle}.
   *
   * @throws {NbdError} when the client broke the protocol or the device is lost: hang up.
   * @throws as the pipe.
   */
  async run(): Promise<void> {
    const serving = this.#serve();
    // It ends once the pipe is closed.
    serving.catch(() => {});
    await Promise.race([serving, this.#lost.promise]);
  }

  async #serve(): Promise<void> {
    for (let head; (head = await this.#input.take(wire.REQUEST_BYTES)) !== undefined;) {
      const request = decodeRequest(head);
      if (!request) throw new NbdError("protocol-error", "Got a request without its magic number");
      if (request.type === wire.CMD_DISC) return;
      await this.#slots.acquire(1);
      await this.#begin(request);
    }
  }

  /** Resolves when no request is under way. */
  async idle(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  /** Reads the data of a write, then carries the request out while the next one is read. */
  async #begin(request: Request): Promise<void> {
    const wrong = this.#isEnding
      ? new NbdDeviceError("ESHUTDOWN", "The server is shutting down")
      : fault(request, this.#device, this.#negotiated);
    if (request.type !== wire.CMD_WRITE) {
      const bytes = wrong ? 0 : memoryOf(request);
      await this.#memory.acquire(bytes);
      return this.#spawn(request, bytes, () => this.#carryOut(request, wrong));
    }
    if (wrong) {
      // Up to here a length is no attack ("Size constraints"); beyond, the rest of the stream is lost.
      if (request.length > wire.MAX_PAYLOAD) {
        throw new NbdError("protocol-error", `Got a write of ${request.length} bytes`);
      }
      await this.#input.skip(request.length);
      return this.#spawn(request, 0, () => Promise.reject(wrong));
    }
    await this.#memory.acquire(request.length);
    const data = this.#pool.take(request.length);
    try {
      await this.#input.fill(data);
    } catch (error) {
      this.#memory.release(request.length);
      this.#pool.release(data);
      throw error;
    }
    this.#spawn(request, request.length, async () => {
      try {
        await this.#device.write(request.offset, data, fuaOf(request));
      } finally {
        this.#pool.release(data);
      }
      await this.#output.send(simpleReply(request.cookie, 0));
    });
  }

  #spawn(request: Request, bytes: number, work: () => Promise<void>): void {
    const task = work()
      .catch((error) => this.#fail(request, error))
      // The pipe has failed, which the next read of it reports.
      .catch(() => {})
      .finally(() => {
        this.#memory.release(bytes);
        this.#slots.release(1);
        this.#tasks.delete(task);
      });
    this.#tasks.add(task);
  }

  /**
   * Answers with the error; but a device that is lost (NbdError other than NbdDeviceError) is a lost
   * connection for the client, too: it knows what to do then, but takes EIO for a broken medium.
   */
  async #fail(request: Request, error: unknown): Promise<void> {
    if (error instanceof NbdError && !(error instanceof NbdDeviceError)) this.#lost.reject(error);
    else await this.#output.send(errorReply(request, deviceError(error), this.#structured));
  }

  async #carryOut(request: Request, wrong: NbdDeviceError | undefined): Promise<void> {
    if (wrong) throw wrong;
    const { type, flags, offset, length, cookie } = request;
    const device = this.#device;
    switch (type) {
      case wire.CMD_READ:
        return await this.#read(request);
      case wire.CMD_BLOCK_STATUS:
        return await this.#status(request);
      case wire.CMD_FLUSH:
        await device.flush();
        break;
      case wire.CMD_TRIM:
        if (length > 0) await device.trim(offset, length, fuaOf(request));
        break;
      case wire.CMD_CACHE:
        if (length > 0) await device.cache(offset, length);
        break;
      case wire.CMD_WRITE_ZEROES:
        if (length === 0) break;
        await device.writeZeroes(offset, length, {
          ...fuaOf(request),
          noHole: (flags & wire.CMD_FLAG_NO_HOLE) !== 0,
          fast: (flags & wire.CMD_FLAG_FAST_ZERO) !== 0,
        });
    }
    await this.#output.send(simpleReply(cookie, 0));
  }

  async #read(request: Request): Promise<void> {
    const data = this.#pool.take(request.length);
    try {
      const holes = request.length > 0 ? await this.#device.read(request.offset, data) : [];
      if (!this.#structured) {
        return await this.#output.send(simpleReply(request.cookie, 0), data);
      }
      const whole = (request.flags & wire.CMD_FLAG_DF) !== 0;
      await this.#output.send(...readChunks(request, data, whole ? [] : holes));
    } finally {
      this.#pool.release(data);
    }
  }

  async #status(request: Request): Promise<void> {
    const one = (request.flags & wire.CMD_FLAG_REQ_ONE) !== 0;
    const extents = await this.#device.blockStatus(request.offset, request.length, { one });
    const chunk = statusChunk(request, CONTEXT_ID, extents, one);
    if (!chunk) throw new NbdDeviceError("EIO", "The device has described no extent");
    await this.#output.send(chunk);
  }
}

/** What the reply takes, bytes. */
function memoryOf({ type, length }: Request): number {
  if (type === wire.CMD_READ) return length;
  return type === wire.CMD_BLOCK_STATUS ? STATUS_BYTES : 0;
}

function fuaOf({ flags }: Request): { readonly fua: boolean } {
  return { fua: (flags & wire.CMD_FLAG_FUA) !== 0 };
}

function deviceError(error: unknown): NbdDeviceError {
  if (error instanceof NbdDeviceError) return error;
  return new NbdDeviceError("EIO", messageOf(error), { cause: error });
}
