import {
  afterStall,
  type BytePipe,
  type Clock,
  DeadlineError,
  type Logger,
  messageOf,
  printable,
  readFull,
  TaskGroup,
  writeAll,
} from "../io/mod.ts";
import { limits } from "../tunnel/mod.ts";
import {
  decodeMessage,
  encodeMessage,
  MAX_PROBLEM,
  MAX_PROBLEMS,
  messageLength,
  type Reply,
  type Request,
} from "./message.ts";
import { type Params, type ProcedureName, procedures, type Result } from "./procedures.ts";
import { SchemaError } from "./schema.ts";

/** The other end answered with an error; the call is over, nothing else is. */
export class RpcError extends Error {
  override name = "RpcError";
  /** A word such as `refused`, `unknown-procedure`, `bad-params`, `failed`. */
  readonly code: string;
  /** Where the message tells several things: each on its own. */
  readonly problems: readonly string[];
  constructor(code: string, message: string, problems: readonly string[] = []) {
    super(message);
    this.code = code;
    this.problems = problems;
  }
}

/** Answers to the calls of the other end. An `RpcError` thrown keeps its code. */
export type Handlers = {
  readonly [P in ProcedureName]?: (params: Params<P>) => Promise<Result<P>>;
};

export interface RpcOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly handlers: Handlers;
  /** The other end sent what is no message; the session should end. */
  readonly onFault: (error: Error) => void;
}

export interface CallOptions {
  /** How long the answer may take, ms. */
  readonly timeoutMs: number;
  /** A number; whenever it changes, that time begins anew. */
  readonly progress?: () => number;
  readonly signal?: AbortSignal;
}

interface Pending {
  readonly method: ProcedureName;
  settle(reply: Reply): void;
  fail(error: Error): void;
}

/** Typed calls in both directions over one byte pipe, matched by id. Does not own the pipe. */
export class RpcPeer {
  readonly #pipe: BytePipe;
  readonly #options: RpcOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #tasks = new TaskGroup();
  #lastId = 0;
  #writing: Promise<void> = Promise.resolve();
  #under = 0;
  #wake: (() => void) | undefined;
  #closed: Error | undefined;

  constructor(pipe: BytePipe, options: RpcOptions) {
    this.#pipe = pipe;
    this.#options = options;
    this.#tasks.spawn(() => this.#readLoop());
  }

  /**
   * Calls a procedure of the other end.
   *
   * @throws {RpcError} when it answers with an error.
   * @throws {DeadlineError} when no answer came in time; a late one is dropped.
   * @throws the session's error when the session ends first, the signal's reason when aborted.
   */
  async call<P extends ProcedureName>(
    method: P,
    params: Params<P>,
    options: CallOptions,
  ): Promise<Result<P>> {
    options.signal?.throwIfAborted();
    if (this.#closed) throw this.#closed;
    if (this.#pending.size >= limits.MAX_CALLS) {
      throw new RangeError(`${limits.MAX_CALLS} calls are under way`);
    }
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Result<P>>();
    const onAbort = () => reject(options.signal!.reason);
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const cancel = afterStall(
      this.#options.clock,
      options.timeoutMs,
      options.progress ?? (() => 0),
      () =>
        reject(
          new DeadlineError(
            `Waited ${options.timeoutMs / 1000} s for the other end to answer "${method}"`,
          ),
        ),
    );
    this.#pending.set(id, {
      method,
      fail: reject,
      settle(reply) {
        if (reply.error) {
          const { code, message, problems } = reply.error;
          const each = (problems ?? []).map((problem) => printable(problem, MAX_PROBLEM));
          return reject(new RpcError(code, printable(message, 4096), each));
        }
        try {
          resolve(procedures[method].result(reply.result, "result") as Result<P>);
        } catch (error) {
          reject(new RpcError("bad-result", `"${method}" was answered with ${messageOf(error)}`));
        }
      },
    });
    try {
      // A send that fails fails every call, this one too, through the read loop's end.
      this.#send({ id, method, params }).catch(reject);
      return await promise;
    } finally {
      cancel();
      options.signal?.removeEventListener("abort", onAbort);
      this.#pending.delete(id);
    }
  }

  /** Waits until all that was started here has ended; the pipe must have ended or failed. */
  async join(): Promise<void> {
    await this.#tasks.join();
  }

  async #readLoop(): Promise<void> {
    const head = new Uint8Array(4);
    try {
      while (await readFull(this.#pipe, head)) {
        const body = new Uint8Array(messageLength(head));
        if (!await readFull(this.#pipe, body)) throw new Error("The RPC ended inside a message");
        this.#dispatch(decodeMessage(body));
        while (this.#under >= limits.MAX_REQUESTS) {
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
      }
      this.#closed = new Error("The other end ended the RPC");
    } catch (error) {
      this.#closed = error instanceof Error ? error : new Error(String(error));
      this.#options.onFault(this.#closed);
    }
    for (const pending of this.#pending.values()) pending.fail(this.#closed);
  }

  #dispatch(message: Request | Reply): void {
    if ("method" in message) {
      this.#under++;
      this.#tasks.spawn(async () => {
        const reply = await this.#answer(message);
        // The session tells its own end; an answer that can't be sent is nobody's any more. One that
        // is not taken counts until then: whoever asks without listening must not fill our memory.
        await this.#send(reply).catch(() => {});
        this.#under--;
        this.#wake?.();
      });
      return;
    }
    const pending = this.#pending.get(message.id);
    if (pending) pending.settle(message);
    else this.#options.log.log("debug", `rpc: a late answer to call ${message.id} was dropped`);
  }

  async #answer(request: Request): Promise<Reply> {
    const { id, method } = request;
    try {
      const result = await this.#handle(method, request.params);
      return { id, result };
    } catch (error) {
      const code = error instanceof RpcError
        ? error.code
        : error instanceof SchemaError
        ? "bad-params"
        : "failed";
      const problems = error instanceof RpcError ? error.problems : [];
      const each = problems.slice(0, MAX_PROBLEMS).map((problem) => problem.slice(0, MAX_PROBLEM));
      const message = messageOf(error).slice(0, 4096);
      return { id, error: { code, message, ...(each.length > 0 ? { problems: each } : {}) } };
    }
  }

  async #handle(method: string, params: unknown): Promise<unknown> {
    const known = Object.hasOwn(procedures, method) ? method as ProcedureName : undefined;
    const handler = known && this.#options.handlers[known];
    if (!known || !handler) {
      throw new RpcError(
        "unknown-procedure",
        `The procedure "${printable(method, 64)}" is not known here`,
      );
    }
    // The table pairs each handler with its own schema; TypeScript can't see that through a union.
    const checked = procedures[known].params(params, "params") as never;
    return await handler(checked);
  }

  #send(message: Request | Reply): Promise<void> {
    const bytes = encodeMessage(message);
    const sent = this.#writing.then(() => writeAll(this.#pipe, bytes));
    this.#writing = sent.catch(() => {});
    return sent;
  }
}
