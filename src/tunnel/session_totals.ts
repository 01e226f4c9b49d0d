import type { SessionIdentity } from "./connection/handshake.ts";
import type { Lane } from "./lane.ts";
import type { TunnelStream } from "./stream/stream.ts";
import type { Hello } from "./wire/hello.ts";

/** What the lanes of a session have in common, and what they have carried together. */
export abstract class SessionTotals {
  /** The lane of the RPC. */
  abstract readonly first: Lane;
  /** The lanes that it has now. */
  abstract readonly lanes: readonly Lane[];

  /** What lanes and the credentials of later sessions are derived from. */
  get identity(): SessionIdentity {
    return this.first.identity;
  }

  /** The other end's HELLO. */
  get peer(): Hello {
    return this.first.peer;
  }

  /** Address of the other end of the first connection, as `HOST:PORT`, if it is known. */
  get from(): string | undefined {
    return this.first.from;
  }

  /** How long a lane lives without a connection, ms; the lower value of the two ends. */
  get graceMs(): number {
    return this.first.graceMs;
  }

  /** Stream 0: carries the RPC. */
  get rpc(): TunnelStream {
    return this.first.rpc;
  }

  /** Connections so far, one after the other. */
  get connections(): number {
    return this.#sum((lane) => lane.connections);
  }

  /** {@inheritDoc Lane.bytes} */
  get bytes(): number {
    return this.#sum((lane) => lane.bytes);
  }

  /** {@inheritDoc Lane.carried} */
  get carried(): number {
    return this.#sum((lane) => lane.carried);
  }

  /** {@inheritDoc Lane.data} */
  get data(): { readonly raw: number; readonly wire: number } {
    return {
      raw: this.#sum((lane) => lane.data.raw),
      wire: this.#sum((lane) => lane.data.wire),
    };
  }

  /** Bytes sent and not acknowledged. */
  get inFlight(): number {
    return this.#sum((lane) => lane.inFlight);
  }

  /** {@inheritDoc Lane.progress} */
  get progress(): number {
    return this.#sum((lane) => lane.progress);
  }

  /** {@inheritDoc Lane.patienceMs} */
  get patienceMs(): number {
    return this.first.patienceMs;
  }

  /** Remaining grace of the lane that has the least, ms. */
  get graceLeftMs(): number {
    return Math.min(...this.lanes.map((lane) => lane.graceLeftMs));
  }

  /** Shortest round trip seen on the connection of the first lane, ms. */
  get rttMs(): number {
    return this.first.rttMs;
  }

  /** The latest round trip on the first lane, ms; `undefined` where none was measured. */
  get lastRttMs(): number | undefined {
    return this.first.lastRttMs;
  }

  /** Streams that are open, the RPC's excepted. */
  get openStreams(): number {
    return this.#sum((lane) => lane.openStreams);
  }

  #sum(of: (lane: Lane) => number): number {
    return this.lanes.reduce((sum, lane) => sum + of(lane), 0);
  }
}
