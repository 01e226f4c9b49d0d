import { type BytePipe, type Clock, withDeadline } from "../../io/mod.ts";
import { Budget } from "../budget.ts";
import { NbdDeviceError, NbdError } from "../errors.ts";
import { Output } from "../output.ts";
import { encodeRequest, type Export, fault, type Negotiated } from "../request.ts";
import * as wire from "../wire.ts";
import type { Opened } from "./negotiate.ts";
import type { Answer } from "./pending.ts";
import { Replies } from "./replies.ts";

/** A request and what goes with it. Offset and length in bytes. */
export interface Question {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
  /** Filled by a read. */
  readonly into?: Uint8Array;
  /** Sent with a write. */
  readonly data?: Uint8Array;
}

/** Requests and replies of one connection in the transmission phase. Owns the pipe. */
export class Exchange {
  readonly #pipe: BytePipe;
  readonly #export: Export;
  readonly #negotiated: Negotiated;
  readonly #output: Output;
  readonly #replies: Replies;
  readonly #slots: Budget;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #cookie = 0;
  #closing: Promise<void> | undefined;

  /** `maxRequests` are under way at once, the others wait; `timeoutMs` is the deadline of `close`. */
  constructor(
    pipe: BytePipe,
    opened: Opened,
    options: { readonly maxRequests: number; readonly timeoutMs: number; readonly clock: Clock },
  ) {
    this.#pipe = pipe;
    this.#export = opened;
    this.#negotiated = { structured: opened.structured, context: opened.context !== undefined };
    this.#output = new Output(pipe);
    this.#replies = new Replies(pipe, opened);
    this.#slots = new Budget(options.maxRequests);
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
  }

  /**
   * Sends a request and waits for its reply. `into` and `data` belong to it until then.
   *
   * @throws {NbdDeviceError} when the server refuses it, or would have to: then nothing was sent.
   * @throws {NbdError} when the connection is lost, or closed here.
   */
  async ask(question: Question): Promise<Answer> {
    const wrong = fault(question, this.#export, this.#negotiated);
    if (wrong) throw wrong;
    if (this.#closing) throw new NbdError("closed", "The NBD connection is being closed");
    // Not a turn later without need: `close` waits for what has a slot.
    const turn = this.#slots.acquire(1);
    if (turn) await turn;
    try {
      return await this.#send(question);
    } catch (error) {
      // "If the client receives an NBD_ESHUTDOWN error it MUST initiate a soft disconnect."
      if (error instanceof NbdDeviceError && error.errno === "ESHUTDOWN") void this.close();
      throw error;
    } finally {
      this.#slots.release(1);
    }
  }

  /** Waits for the requests under way, says goodbye (NBD_CMD_DISC), hangs up. Never rejects. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** Hangs up at once. Requests under way fail. */
  abort(): void {
    this.#replies.fail(new NbdError("closed", "The NBD connection was closed"));
  }

  async #send({ data, ...question }: Question): Promise<Answer> {
    const low = this.#nextCookie();
    const answered = this.#replies.expect(low, question);
    const message = encodeRequest({ ...question, cookie: { high: 0, low } });
    const sent = data ? this.#output.send(message, data) : this.#output.send(message);
    // The requests that wait fail with the cause.
    sent.catch((error) => this.#replies.fail(error));
    try {
      return await answered;
    } finally {
      // A server may answer before it has read all; the caller may change the bytes only then.
      if (data) await sent.catch(() => {});
    }
  }

  async #close(): Promise<void> {
    const goodbye = async () => {
      await this.#slots.drained();
      if (this.#replies.failure) return;
      const nothing = { flags: 0, cookie: { high: 0, low: 0 }, offset: 0, length: 0 };
      await this.#output.send(encodeRequest({ type: wire.CMD_DISC, ...nothing }));
      await this.#pipe.closeWrite();
    };
    await withDeadline(this.#clock, this.#timeoutMs, "the NBD server", goodbye()).catch(() => {});
    this.abort();
  }

  #nextCookie(): number {
    do this.#cookie = (this.#cookie + 1) >>> 0; while (this.#replies.has(this.#cookie));
    return this.#cookie;
  }
}
