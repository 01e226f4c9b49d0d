/**
 * The listening end: does the handshake on every connection, opens sessions, and gives sessions that
 * lost their connection a new one.
 *
 * @module
 */
import {
  type Acceptor,
  type BytePipe,
  type Clock,
  type Logger,
  messageOf,
  TaskGroup,
  withDeadline,
} from "../io/mod.ts";
import type { Compression } from "./compress/compressor.ts";
import { EndedLanes } from "./ended_lanes.ts";
import { SessionError } from "./errors.ts";
import { answerHandshake, type Local } from "./connection/handshake.ts";
import * as limits from "./limits.ts";
import type { Liveness } from "./connection/connection.ts";
import type { Lane } from "./lane.ts";
import { Session } from "./session.ts";

/** How to serve sessions. */
export interface ServeOptions {
  /** What this end brings to the handshake. */
  readonly local: Local;
  /** The time. */
  readonly clock: Clock;
  /** Gets each rejected connection, with the reason. */
  readonly log: Logger;
  /** Bytes sent and not acknowledged, at most. Default {@link limits.IN_FLIGHT}. */
  readonly inFlight?: number;
  /** Compresses what a peer that accepts it is sent. Default: nothing. */
  readonly compression?: Compression | undefined;
  /** How silence is judged. Default: {@link limits.PING_AFTER_MS}, {@link limits.DEAD_AFTER_MS}. */
  readonly liveness?: Liveness;
  /** How long a handshake may take, ms. Default {@link limits.HANDSHAKE_MS}. */
  readonly handshakeMs?: number;
  /** Takes ownership of each new session. Must not wait. */
  readonly onSession: (session: Session) => void;
}

/**
 * Accepts connections until it is closed, {@link limits.MAX_HANDSHAKES} handshakes and
 * {@link limits.MAX_SESSIONS} sessions at a time. A connection that fails its handshake gets the
 * reason (REFUSE) and is logged; it does not affect the others. Owns the acceptor.
 */
export class SessionServer {
  readonly #options: ServeOptions;
  readonly #acceptor: Acceptor;
  readonly #sessions = new Map<string, Session>();
  /** All lanes of the sessions, by their own ids. */
  readonly #lanes = new Map<string, Lane>();
  readonly #ended = new EndedLanes();
  readonly #handshakes = new Set<BytePipe>();
  readonly #tasks = new TaskGroup();

  /** Starts to accept connections. */
  constructor(acceptor: Acceptor, options: ServeOptions) {
    this.#acceptor = acceptor;
    this.#options = options;
    this.#tasks.spawn(() => this.#acceptLoop());
  }

  /** Stops listening and ends the handshakes under way. Open sessions go on. */
  async close(): Promise<void> {
    this.#acceptor.close();
    for (const pipe of this.#handshakes) pipe.close();
    await this.#tasks.join();
  }

  async #acceptLoop(): Promise<void> {
    while (true) {
      const pipe = await this.#acceptor.accept();
      if (pipe === undefined) return;
      if (this.#handshakes.size >= limits.MAX_HANDSHAKES) this.#closeOldest();
      this.#handshakes.add(pipe);
      this.#tasks.spawn(() => this.#serve(pipe));
    }
  }

  /** Makes room for a new handshake: idle connections must not keep anybody out. */
  #closeOldest(): void {
    const [oldest] = this.#handshakes;
    if (!oldest) return;
    this.#options.log.log("warning", "too many connections at once, the oldest was closed");
    this.#handshakes.delete(oldest);
    oldest.close();
  }

  async #serve(pipe: BytePipe): Promise<void> {
    const { clock, log, local } = this.#options;
    const handshakeMs = this.#options.handshakeMs ?? limits.HANDSHAKE_MS;
    const known = {
      find: (id: Uint8Array) => this.#lanes.get(key(id)),
      ended: (id: Uint8Array) => this.#ended.get(key(id)),
      joinable: (id: Uint8Array) => this.#sessions.get(key(id)),
      full: () => this.#sessions.size >= limits.MAX_SESSIONS,
    };
    try {
      const result = await withDeadline(
        clock,
        handshakeMs,
        "the connecting end's handshake",
        answerHandshake(pipe, local, known),
      );
      if (result.kind === "resumed") {
        (result.session as Lane).attach(pipe, result.peerReceived, result.epoch);
        return;
      }
      if (result.kind === "joined") {
        const lane = (result.session as Session).lane(result.lane);
        if (lane?.identity !== result.identity) throw new Error("A newer connection took over");
        this.#keep(lane);
        lane.attach(pipe, 0, 0);
        return;
      }
      const session = new Session({
        role: "listening",
        identity: result.identity,
        peer: result.peer,
        lanes: result.lanes,
        ...(pipe.peer === undefined ? {} : { from: pipe.peer }),
        graceMs: local.graceMs,
        decompress: local.decompress,
        compression: this.#options.compression,
        clock,
        log,
        ...(this.#options.inFlight ? { inFlight: this.#options.inFlight } : {}),
        ...(this.#options.liveness ? { liveness: this.#options.liveness } : {}),
      });
      this.#sessions.set(key(result.identity.id), session);
      session.ended.then(() => this.#sessions.delete(key(result.identity.id)));
      this.#keep(session.first);
      session.first.attach(pipe, 0, 0);
      this.#options.onSession(session);
    } catch (error) {
      const from = pipe.peer === undefined ? "" : ` from ${pipe.peer}`;
      log.log("warning", `rejected a connection${from}: ${messageOf(error)}`);
      if (error instanceof SessionError) await this.#linger(pipe);
      pipe.close();
    } finally {
      this.#handshakes.delete(pipe);
    }
  }

  #keep(lane: Lane): void {
    const id = key(lane.identity.id);
    this.#lanes.set(id, lane);
    lane.ended.then((cause) => {
      this.#lanes.delete(id);
      this.#ended.add(id, lane.identity, cause);
    });
  }

  /** Lets the reason arrive: a socket closed with bytes unread discards its last write (RST). */
  async #linger(pipe: BytePipe): Promise<void> {
    const scrap = new Uint8Array(4096);
    const drain = async () => {
      for (let left = 16; left > 0; left--) if (await pipe.read(scrap) === null) return;
    };
    await withDeadline(this.#options.clock, 1000, "the other end to close", drain())
      .catch(() => {});
  }
}

function key(id: Uint8Array): string {
  return id.join();
}
