import {
  type BytePipe,
  type Clock,
  type Logger,
  messageOf,
  type Moves,
  States,
} from "../io/mod.ts";
import { Connection, type ConnectionHost, type Liveness } from "./connection/connection.ts";
import type { ConnectionSlot } from "./connection/slot.ts";
import type { Ending } from "./ending.ts";
import { ConnectionError, ProtocolError, SessionError } from "./errors.ts";
import type { Grace } from "./grace.ts";
import * as limits from "./limits.ts";
import type { Acknowledger } from "./receive/acknowledger.ts";
import type { Inbound } from "./receive/inbound.ts";
import type { Outbound } from "./send/outbound.ts";

/** `up`: a connection carries it. `down`: it waits for the next one. `ended`: for good. */
export type SessionState = "up" | "down" | "ended";

const MOVES: Moves<SessionState> = {
  up: ["down", "ended"],
  down: ["up", "ended"],
  ended: [],
};

/** The connection under a session was lost, or a new one carries it. */
export interface LinkChange {
  /** `down`: lost. `up`: the session goes on over a new connection. */
  readonly state: "up" | "down";
  /** With `down`: why. */
  readonly cause: Error | undefined;
  /** With `down`: what the last connections have in common and what to do about it, if anything. */
  readonly hint?: string | undefined;
}

export interface SessionConnectionOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly liveness: Liveness;
  /** How long the session waits for another connection, ms. */
  readonly graceMs: number;
  readonly slot: ConnectionSlot;
  readonly acks: Acknowledger;
  readonly outbound: Outbound;
  readonly inbound: Inbound;
  readonly grace: Grace;
  readonly ending: Ending;
}

/**
 * Puts a session on one connection after the other and keeps its state: `up`, `down` or `ended`.
 * Each connection has an epoch, a number higher than that of every earlier attempt. Owned by the
 * session.
 */
export class SessionConnection implements ConnectionHost {
  readonly #options: SessionConnectionOptions;
  readonly #slot: ConnectionSlot;
  readonly #outbound: Outbound;
  readonly #ending: Ending;
  readonly #states: States<SessionState>;
  readonly #listeners = new Set<(change: LinkChange) => void>();
  #epoch = 0;
  #count = 0;

  constructor(options: SessionConnectionOptions) {
    this.#options = options;
    this.#slot = options.slot;
    this.#outbound = options.outbound;
    this.#ending = options.ending;
    this.#states = new States<SessionState>("session", "down", MOVES, options.log);
  }

  get state(): SessionState {
    return this.#states.current;
  }

  /** Connections so far. */
  get count(): number {
    return this.#count;
  }

  /** Epoch of the connection in use; the next one must name a higher one. */
  get epoch(): number {
    return this.#epoch;
  }

  /** {@inheritDoc Session.onLink} */
  onChange(listener: (change: LinkChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** {@inheritDoc Session.attach} */
  attach(pipe: BytePipe, peerReceived: number, epoch: number): void {
    if (this.state !== "down" || epoch !== this.#epoch) {
      pipe.close();
      return;
    }
    const { acks, grace, inbound, clock, liveness } = this.#options;
    try {
      this.#outbound.restart(peerReceived);
    } catch (error) {
      pipe.close();
      this.#ending.end(new SessionError("protocol-error", messageOf(error)));
      throw error;
    }
    // Credit is absolute, acknowledgements are cumulative: sending the last ones again is harmless.
    acks.restart();
    grace.attached();
    this.#states.to("up");
    this.#count++;
    const connection = new Connection(pipe, this, inbound, clock, liveness);
    this.#slot.put(connection);
    // Only now: the write loop calls pingSent on the connection that the slot has.
    this.pingWanted();
    connection.over.then((cause) => this.#onOver(connection, cause));
    if (this.#count > 1) this.#report({ state: "up", cause: undefined });
  }

  /** {@inheritDoc Session.detach} */
  async detach(cause: Error): Promise<void> {
    const connection = this.#slot.current;
    if (!connection) return;
    connection.close(cause);
    await connection.over;
  }

  /** {@inheritDoc Resumable.fence} */
  async fence(epoch: number, peerReceived: number): Promise<number> {
    if (epoch <= this.#epoch) {
      throw new ProtocolError(
        `Connection ${epoch} of this session comes after connection ${this.#epoch}`,
      );
    }
    if (this.state === "ended") throw new ProtocolError("The session is over");
    this.#epoch = epoch;
    await this.detach(new ConnectionError("A newer connection took over"));
    try {
      this.#outbound.checkServable(peerReceived);
    } catch (error) {
      this.#ending.end(new SessionError("protocol-error", messageOf(error)));
      throw error;
    }
    return this.#options.acks.received;
  }

  /** {@inheritDoc Session.nextEpoch} */
  nextEpoch(): number {
    return ++this.#epoch;
  }

  /** The session is over. */
  stop(): void {
    this.#states.to("ended");
    this.#listeners.clear();
  }

  // ConnectionHost

  nextOutput(): Uint8Array | undefined {
    const out = this.#outbound.next();
    if (!out && this.#ending.settled) this.#ending.end(undefined);
    return out;
  }

  pingWanted(): void {
    this.#outbound.owePing();
  }

  faulted(error: ProtocolError): void {
    this.#ending.faulted(error);
  }

  heardLate(): void {
    this.#options.grace.heardLate();
  }

  #onOver(connection: Connection, cause: Error): void {
    if (this.#slot.current !== connection) return;
    this.#slot.drop();
    this.#outbound.connectionLost();
    if (this.state === "ended") return;
    const { inbound, grace, graceMs } = this.#options;
    inbound.connectionLost();
    if (cause instanceof ProtocolError) {
      this.#ending.end(new SessionError("protocol-error", cause.message, { cause }));
    } else if (this.#ending.settled || graceMs === 0) {
      this.#ending.lost(`The connection was lost: ${cause.message}`, cause);
    } else {
      this.#states.to("down");
      grace.lost(connection, cause, this.#ending.bothDone ? limits.LINGER_MS : graceMs);
      this.#report({ state: "down", cause, hint: grace.hint });
    }
  }

  #report(change: LinkChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
