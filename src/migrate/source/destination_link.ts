import { abortable, type Clock, delay, type Logger, messageOf } from "../../io/mod.ts";
import type { DestinationState, Params, Where } from "../../rpc/mod.ts";
import { SessionError, type TunnelStream } from "../../tunnel/mod.ts";
import type { DestinationPeer } from "./destination_peer.ts";
import { MigrationError } from "../errors.ts";

/** The migration, as far as its link to the destination needs it. */
export interface LinkContext {
  readonly migration: string;
  /** How long a destination's tool that was killed may take to come back, ms. */
  readonly graceMs: number;
  /** The migration is in a phase that survives a new process at the destination. */
  readonly mayReconnect: boolean;
  /** States in which the destination can go on with it. */
  readonly statesThere: readonly DestinationState[];
  readonly clock: Clock;
  readonly log: Logger;
  connect(signal: AbortSignal): Promise<DestinationPeer>;
  /** Uses this peer, which replaces another one, from now on. */
  adopt(peer: DestinationPeer): void;
  /** The destination is lost. */
  fault(cause: unknown): void;
}

/** Pause between two attempts to reach a destination whose tool was started again, ms. */
const AGAIN_MS = 500;

/**
 * The source's link to the destination: the peer in use. A session that outlives its connection resumes by
 * itself. A destination whose tool was killed and started again does not know the session: the connection makes a
 * new one and attaches it to the migration. Owns the peers.
 */
export class DestinationLink {
  readonly #context: LinkContext;
  #peer: DestinationPeer | undefined;
  #ready: Promise<DestinationPeer>;
  readonly #closed = new AbortController();
  #bytesBefore = 0;
  #carriedBefore = 0;
  #waiting = false;
  #aborting: Promise<void> | undefined;

  /** @param peer the one that prepares; `undefined`: another process had it, connect a new one. */
  constructor(peer: DestinationPeer | undefined, context: LinkContext) {
    this.#context = context;
    this.#peer = peer;
    if (peer) {
      this.#ready = Promise.resolve(peer);
      this.#watch(peer);
    } else {
      this.#ready = this.#reconnect(undefined);
    }
  }

  /** The peer in use; its session may have ended. `undefined` before the first one. */
  get peer(): DestinationPeer | undefined {
    return this.#peer;
  }

  /** True while the connection reconnects to a destination whose tool was started again. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** Bytes that crossed so far, both directions. */
  get bytes(): number {
    return this.#bytesBefore + (this.#peer?.session.bytes ?? 0);
  }

  /** As `bytes`, but as many as there would be without compression. */
  get carried(): number {
    return this.#carriedBefore + (this.#peer?.session.carried ?? 0);
  }

  /** Resolves with the peer in use, once there is one. Rejects when the destination is lost. */
  ready(): Promise<DestinationPeer> {
    return this.#ready;
  }

  /** Connects another peer where the session has ended, as one does that ends in the handover. */
  renew(): void {
    if (this.#waiting || this.#peer?.session.state !== "ended") return;
    this.#ready = this.#reconnect(undefined);
  }

  /**
   * Opens a stream to `channel` at the destination; repeats that with the peer that replaces the current one.
   *
   * @throws as {@link DestinationPeer} does, and when the destination is lost.
   */
  async openChannel(
    channel: string,
    signal?: AbortSignal,
    where?: Where,
  ): Promise<TunnelStream> {
    return await this.withPeer((peer) => peer.openChannel(channel, signal, where), signal);
  }

  /**
   * Calls the peer in use, and calls again the peer that replaces it meanwhile. Only for calls that may be
   * repeated.
   *
   * @throws what `ask` throws, and when the destination is lost.
   */
  async withPeer<T>(ask: (peer: DestinationPeer) => Promise<T>, signal?: AbortSignal): Promise<T> {
    while (true) {
      const ready = this.ready();
      const peer = await (signal ? abortable(ready, signal) : ready);
      try {
        return await ask(peer);
      } catch (error) {
        // The destination's tool was started again just now: the connection connects another peer.
        if (peer.session.state !== "ended") throw error;
        await peer.session.ended;
        if (!this.#waiting) throw error;
      }
    }
  }

  /**
   * Has the destination undo what it prepared, unless the connection is down. Resolves when it has. Calls at
   * the same time share one request.
   *
   * @throws {Error} naming what the destination could not undo.
   */
  abort(why: Params<"abort">): Promise<void> {
    return this.#aborting ??= this.#abort(why).finally(() => this.#aborting = undefined);
  }

  async #abort(why: Params<"abort">): Promise<void> {
    const peer = this.#peer;
    // The call crosses the first lane, whatever the others do.
    const lane = peer?.session.first;
    if (!peer || lane?.state !== "up") return;
    const away = Promise.withResolvers<readonly string[]>();
    const stop = lane.onLink(({ state }) => state === "down" && away.resolve([]));
    try {
      const left = await Promise.race([peer.abort(why), away.promise]);
      if (left.length > 0) throw new Error(left.join("; "));
    } catch (error) {
      // A destination undoes by itself when its session ends or is lost.
      if (peer.session.first.state === "up") throw error;
    } finally {
      stop();
    }
  }

  /** Ends the session, cleanly if that is possible within `deadlineMs`. */
  async close(deadlineMs?: number): Promise<void> {
    this.#closed.abort(new Error("The session was closed here"));
    await this.#peer?.close(deadlineMs);
  }

  #watch(peer: DestinationPeer): void {
    peer.session.ended.then((cause) => {
      if (this.#closed.signal.aborted) return;
      if (cause && (isForgotten(cause) || cause.isPartial) && this.#context.mayReconnect) {
        this.#ready = this.#reconnect(cause);
      } else {
        this.#context.fault(cause ?? new Error("The destination ended the session"));
      }
    });
  }

  #reconnect(cause: SessionError | undefined): Promise<DestinationPeer> {
    this.#waiting = true;
    const ready = this.#tryAgain(cause).finally(() => this.#waiting = false);
    ready.catch((error) => this.#context.fault(error));
    return ready;
  }

  async #tryAgain(cause: SessionError | undefined): Promise<DestinationPeer> {
    const context = this.#context;
    const { clock, log, migration } = context;
    const until = clock.now() + context.graceMs;
    let last: unknown = cause;
    while (clock.now() < until && context.mayReconnect) {
      const signal = this.#closed.signal;
      signal.throwIfAborted();
      try {
        const peer = await context.connect(signal);
        const { state } = await peer.attach(migration, signal).catch(async (error) => {
          await peer.close(1000);
          throw error;
        });
        // The connection was closed while the answer was on its way: nobody else closes this peer.
        if (signal.aborted) await peer.close(1000);
        signal.throwIfAborted();
        if (!context.statesThere.includes(state)) {
          await peer.close(1000);
          throw new MigrationError(
            "failed",
            "not-taken-up",
            "destination",
            `The destination cannot resume the migration, it is in state "${state}"${
              endedBefore(cause)
            }`,
          );
        }
        this.#bytesBefore = this.bytes;
        this.#carriedBefore = this.carried;
        this.#peer = peer;
        this.#watch(peer);
        context.adopt(peer);
        return peer;
      } catch (error) {
        if (error instanceof MigrationError) throw error;
        log.log("info", `the destination is not connected yet: ${messageOf(error)}`);
        last = error;
      }
      await delay(clock, AGAIN_MS, signal);
    }
    throw new MigrationError(
      "failed",
      "not-taken-up",
      "destination",
      `The destination did not resume the migration: ${messageOf(last)}${endedBefore(cause)}`,
      { cause: last },
    );
  }
}

/** The destination does not know the session: its tool is another process than before. */
function isForgotten(error: SessionError): boolean {
  return error.cause instanceof SessionError && error.cause.refusal === "unknown-session";
}

/** Why the session ended: where the destination gave up with it, that is the reason. */
function endedBefore(cause: SessionError | undefined): string {
  return cause ? `. Before: ${cause.message}` : "";
}
