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

/** The other end answered one call with an error. Nothing else is affected. */
export class RpcError extends Error {
  /** The class, also in a bundle. */
  override name = "RpcError";
  /** A word such as `refused`, `unknown-procedure`, `bad-params`, `failed`. */
  readonly code: string;
  /** The problems in the message, each on its own; may be empty. */
  readonly problems: readonly string[];
  /** Makes the error; a handler that throws it gives the caller its code, message and problems. */
  constructor(code: string, message: string, problems: readonly string[] = []) {
    super(message);
    this.code = code;
    this.problems = problems;
  }
}

/** Answer the calls of the other end. An {@link RpcError} keeps its code, others become `failed`. */
export type Handlers = {
  readonly [P in ProcedureName]?: (params: Params<P>) => Promise<Result<P>>;
};

/** What a peer needs. */
export interface RpcOptions {
  /** The time. */
  readonly clock: Clock;
  /** Gets late answers at level `debug`. */
  readonly log: Logger;
  /** A call without a handler is answered with `unknown-procedure`. */
  readonly handlers: Handlers;
  /** A call without a handler waits for {@link RpcPeer.serve} instead. Default: it does not. */
  readonly holds?: boolean;
  /** Called when the other end sent an invalid message, or the pipe failed; end the session. */
  readonly onFault: (error: Error) => void;
}

/** How long a call may take. */
export interface CallOptions {
  /** How long the answer may take, ms. */
  readonly timeoutMs: number;
  /** A number whose change renews that time. */
  readonly progress?: () => number;
  /** Gives up waiting; the other end may still carry the call out. */
  readonly signal?: AbortSignal;
}

interface Pending {
  readonly method: ProcedureName;
  settle(reply: Reply): void;
  fail(error: Error): void;
}

/**
 * Typed calls in both directions over one byte pipe, matched by id (docs/tunnel-protocol.md, section
 * 8). {@link limits.MAX_CALLS} calls may wait, {@link limits.MAX_REQUESTS} requests are worked on at a
 * time. Does not own the pipe.
 *
 * @example
 * ```ts
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { silentLogger, systemClock } from "../io/mod.ts";
 * import { memoryPipe } from "../../tests/support/memory_pipe.ts";
 *
 * const pipes = memoryPipe();
 * const common = { clock: systemClock, log: silentLogger, onFault: () => {} };
 * const server = new RpcPeer(pipes[1], {
 *   ...common,
 *   handlers: { status: () => Promise.resolve({ state: "waiting", guest: "inmigrate" }) },
 * });
 * const client = new RpcPeer(pipes[0], { ...common, handlers: {} });
 *
 * const { state } = await client.call("status", { migration: "m1" }, { timeoutMs: 1000 });
 * assertEquals(state, "waiting");
 * const error = await assertRejects(() => client.call("load", {}, { timeoutMs: 1000 }), RpcError);
 * assertEquals(error.code, "unknown-procedure");
 *
 * for (const pipe of pipes) pipe.close();
 * await Promise.all([client.join(), server.join()]);
 * ```
 */
export class RpcPeer {
  readonly #pipe: BytePipe;
  readonly #options: RpcOptions;
  #handlers: Handlers;
  /** Resolves when calls without a handler no longer wait. */
  readonly #served = Promise.withResolvers<void>();
  readonly #pending = new Map<number, Pending>();
  readonly #tasks = new TaskGroup();
  #lastId = 0;
  #writing: Promise<void> = Promise.resolve();
  #under = 0;
  #wake: (() => void) | undefined;
  #closed: Error | undefined;

  /** Starts to read requests and answers. */
  constructor(pipe: BytePipe, options: RpcOptions) {
    this.#pipe = pipe;
    this.#options = options;
    this.#handlers = options.handlers;
    if (!options.holds) this.#served.resolve();
    this.#tasks.spawn(() => this.#readLoop());
  }

  /** Answers the calls that come from now on, and those that wait, with these handlers instead. */
  serve(handlers: Handlers): void {
    this.#handlers = handlers;
    this.#served.resolve();
  }

  /**
   * Calls a procedure of the other end.
   *
   * @throws {RpcError} when it answers with an error.
   * @throws {DeadlineError} when no answer came in time; a late one is dropped.
   * @throws {RangeError} when too many calls wait for their answers.
   * @throws the pipe's error when that ends first; the signal's reason when it is aborted.
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
      // The read loop fails the other calls when the pipe has ended.
      this.#send({ id, method, params }).catch(reject);
      return await promise;
    } finally {
      cancel();
      options.signal?.removeEventListener("abort", onAbort);
      this.#pending.delete(id);
    }
  }

  /** Waits until all handlers and the read loop have ended; the pipe must have ended or failed. */
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
    this.#served.resolve();
  }

  #dispatch(message: Request | Reply): void {
    if ("method" in message) {
      this.#under++;
      this.#tasks.spawn(async () => {
        const reply = await this.#answer(message);
        // Ignore a failure: the session reports its end. Count the request until its answer is sent:
        // a peer that asks without reading must not fill our memory.
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
    if (known && !this.#handlers[known]) await this.#served.promise;
    const handler = known && this.#handlers[known];
    if (!known || !handler) {
      throw new RpcError(
        "unknown-procedure",
        `This end has no procedure "${printable(method, 64)}"`,
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
