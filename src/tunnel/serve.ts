/**
 * The listening end: handshakes on every connection that comes in, new sessions for those that
 * prove themselves, and new connections for sessions that lost theirs.
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
import { SessionError } from "./errors.ts";
import { answerHandshake, type Local } from "./connection/handshake.ts";
import * as limits from "./limits.ts";
import type { Liveness } from "./connection/connection.ts";
import { Session } from "./session.ts";

export interface ServeOptions {
  readonly local: Local;
  readonly clock: Clock;
  readonly log: Logger;
  readonly inFlight?: number;
  readonly liveness?: Liveness;
  /** How long a handshake may take, ms. */
  readonly handshakeMs?: number;
  /** Owns each new session from then on. Must not wait. */
  readonly onSession: (session: Session) => void;
}

/**
 * Accepts connections until it is closed. A connection that fails its handshake is told why,
 * logged, and forgotten; the ones after it are served all the same.
 */
export class SessionServer {
  readonly #options: ServeOptions;
  readonly #acceptor: Acceptor;
  readonly #sessions = new Map<string, Session>();
  readonly #handshakes = new Set<BytePipe>();
  readonly #tasks = new TaskGroup();

  constructor(acceptor: Acceptor, options: ServeOptions) {
    this.#acceptor = acceptor;
    this.#options = options;
    this.#tasks.spawn(() => this.#acceptLoop());
  }

  /** Stops listening and ends handshakes under way. Sessions that are open go on as they are. */
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

  /** Who has had the longest to prove himself makes room: idle connections keep nobody out. */
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
      find: (id: Uint8Array) => this.#sessions.get(key(id)),
      full: () => this.#sessions.size >= limits.MAX_SESSIONS,
    };
    try {
      const result = await withDeadline(
        clock,
        handshakeMs,
        "the connecting end to prove itself",
        answerHandshake(pipe, local, known),
      );
      if (result.kind === "resumed") {
        (result.session as Session).attach(pipe, result.peerReceived, result.epoch);
        return;
      }
      const session = new Session({
        role: "listening",
        identity: result.identity,
        peer: result.peer,
        graceMs: local.graceMs,
        clock,
        log,
        ...(this.#options.inFlight ? { inFlight: this.#options.inFlight } : {}),
        ...(this.#options.liveness ? { liveness: this.#options.liveness } : {}),
      });
      this.#sessions.set(key(result.identity.id), session);
      session.ended.then(() => this.#sessions.delete(key(result.identity.id)));
      session.attach(pipe, 0, 0);
      this.#options.onSession(session);
    } catch (error) {
      const from = pipe.peer === undefined ? "" : ` from ${pipe.peer}`;
      log.log("warning", `a connection${from} was turned away: ${messageOf(error)}`);
      if (error instanceof SessionError) await this.#linger(pipe);
      pipe.close();
    } finally {
      this.#handshakes.delete(pipe);
    }
  }

  /** Lets the reason arrive: closing with bytes unread would take it back (RST). */
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
