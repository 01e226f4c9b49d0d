import {
  type BytePipe,
  type Clock,
  DeadlineError,
  systemClock,
  TaskGroup,
  withDeadline,
} from "../../io/mod.ts";
import { NbdError } from "../errors.ts";
import { BufferPool } from "../pool.ts";
import { Connection } from "./connection.ts";
import { exportsOf, type ExportSource, type NbdExport } from "./exports.ts";
import { Negotiation } from "./negotiate.ts";

/** Bounds of a server. */
export interface ServerOptions {
  /** Requests of one connection that are under way at once, at most. Default 64. */
  readonly maxRequests?: number;
  /** Data of those requests, bytes; 32 MiB at least. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Deadline of a client's negotiation, and of the requests under way in `shutDown`, ms. Default 30000. */
  readonly timeoutMs?: number;
  /** Default: the machine's own. */
  readonly clock?: Clock;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** Unused buffers that are kept for all connections, bytes. */
const KEEP_BYTES = 32 * 1024 * 1024;

/**
 * Serves block devices by NBD on pipes that its owner accepts. Owns neither devices nor a listener;
 * several connections may use one device.
 */
export class NbdServer {
  readonly #exports: ExportSource;
  readonly #options: ServerOptions;
  readonly #clock: Clock;
  readonly #pool = new BufferPool(KEEP_BYTES);
  readonly #connections = new Set<Connection>();
  readonly #pipes = new Set<BytePipe>();
  readonly #serving = new TaskGroup();
  #isEnding = false;

  /** Serves these exports; their names differ. */
  constructor(exports: readonly NbdExport[] | ExportSource, options: ServerOptions = {}) {
    this.#exports = "list" in exports ? exports : exportsOf(exports);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Serves one client; takes ownership of `pipe`. Resolves when the client has left, with
   * NBD_CMD_DISC, NBD_OPT_ABORT or by hanging up between two messages, and its requests are done.
   *
   * A client that stops in the middle of a request keeps its connection, and buffers for one request.
   *
   * @throws {NbdError} when the client breaks the protocol (`protocol-error`, `not-nbd`), wants an
   * export that does not exist without a way to hear so (`unknown-export`), hangs up during the
   * negotiation (`closed`) or takes too long for it (`timeout`).
   * @throws {NbdError} of the device when that is lost: the client sees a lost connection, not an EIO.
   * @throws as the pipe when it fails. The pipe is closed in every case.
   */
  async serve(pipe: BytePipe): Promise<void> {
    this.#pipes.add(pipe);
    const serving = this.#serve(pipe).finally(() => {
      this.#pipes.delete(pipe);
      pipe.close();
    });
    this.#serving.spawn(() => serving.catch(() => {}));
    await serving;
  }

  /**
   * Refuses further requests with ESHUTDOWN, waits for those under way, then hangs up. Resolves when
   * every `serve` has ended.
   */
  async shutDown(): Promise<void> {
    this.#isEnding = true;
    for (const connection of this.#connections) connection.refuse();
    const idle = Promise.all([...this.#connections].map((connection) => connection.idle()));
    const { timeoutMs = DEFAULT_TIMEOUT_MS } = this.#options;
    // A client that takes no replies must not prevent the end.
    await withDeadline(this.#clock, timeoutMs, "NBD requests", idle).catch(() => {});
    for (const pipe of this.#pipes) pipe.close();
    await this.#serving.join();
  }

  async #serve(pipe: BytePipe): Promise<void> {
    const negotiation = new Negotiation(pipe, this.#exports, () => this.#isEnding);
    const negotiating = negotiation.run();
    // It fails by itself once the pipe is closed.
    negotiating.catch(() => {});
    const { timeoutMs = DEFAULT_TIMEOUT_MS } = this.#options;
    const chosen = await withDeadline(this.#clock, timeoutMs, "an NBD client", negotiating)
      .catch((error) => {
        if (!(error instanceof DeadlineError)) throw error;
        throw new NbdError("timeout", error.message, { cause: error });
      });
    if (!chosen) return;
    const { maxRequests = 64, maxBytes = 64 * 1024 * 1024 } = this.#options;
    const connection = new Connection(pipe, chosen, this.#pool, { maxRequests, maxBytes });
    if (this.#isEnding) connection.refuse();
    this.#connections.add(connection);
    try {
      await connection.run();
    } catch (error) {
      // First, so that no reply waits for a client that takes none.
      pipe.close();
      throw error;
    } finally {
      await connection.idle();
      this.#connections.delete(connection);
    }
  }
}
