/** A packet that carries more than this is a large one, bytes: what passes everywhere is smaller. */
const LARGE = 1200;
/** Connections in a row that carry small packets only before the MTU is named. */
const TELLING = 2;

/** What a connection carried by the time that it was over. */
export interface Carried {
  /** Bytes of ours that wait for their acknowledgement. */
  readonly unacknowledged: number;
  /** Bytes of ours were acknowledged, or sequenced frames received, over this connection. */
  readonly progress: boolean;
  /** Something came from the other end well after the handshake. */
  readonly heardLate: boolean;
  /** It was given up for its silence. */
  readonly silent: boolean;
}

/**
 * Tells a path that drops large packets and passes small ones from a connection that is away: each new
 * connection is made and shakes hands, then nothing arrives. Pure. Owned by the session.
 */
export class Stalls {
  #sending = 0;
  #receiving = 0;

  /** A connection is over. */
  over({ unacknowledged, progress, heardLate, silent }: Carried): void {
    if (progress) this.#sending = this.#receiving = 0;
    else if (unacknowledged <= LARGE) {
      // The end that only receives sees a connection that is made and then falls silent.
      if (silent && !heardLate) this.#receiving++;
      // The other end was heard all the while: what we sent is what did not arrive.
    } else if (heardLate) this.#sending++;
  }

  /** What was seen and what to do about it, once it was seen often enough. */
  get hint(): string | undefined {
    const seen = this.#sending >= TELLING
      ? `Small packets pass and large ones do not: the last ${this.#sending} connections were made and ` +
        "answered pings, and no data sent over them was acknowledged"
      : this.#receiving >= TELLING
      ? `The last ${this.#receiving} connections were made and carried nothing after the handshake`
      : undefined;
    return seen && `${seen}. Check the MTU and path MTU discovery (ICMP) between the hosts`;
  }
}
