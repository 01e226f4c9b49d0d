/** More bytes than this make a large packet; every path passes smaller ones. */
const LARGE = 1200;
/** Connections in a row that carried only small packets, before the hint names the MTU. */
const ENOUGH = 2;

/** Facts about a connection that is over. */
export interface Carried {
  /** Bytes of ours that wait for their acknowledgement. */
  readonly unacknowledged: number;
  /** Bytes of ours were acknowledged, or sequenced frames received, over this connection. */
  readonly progress: boolean;
  /** Something came from the other end well after the handshake. */
  readonly heardLate: boolean;
  /** It was closed because nothing came. */
  readonly silent: boolean;
}

/**
 * Recognizes a path that drops large packets and passes small ones: each new connection completes its
 * handshake, then nothing arrives. Pure. Owned by the session.
 */
export class Stalls {
  #sending = 0;
  #receiving = 0;

  /** A connection is over. */
  over({ unacknowledged, progress, heardLate, silent }: Carried): void {
    if (progress) this.#sending = this.#receiving = 0;
    else if (unacknowledged <= LARGE) {
      // The end that only receives sees a connection that works at first and then falls silent.
      if (silent && !heardLate) this.#receiving++;
      // The other end's bytes came all the while: it is our data that did not arrive.
    } else if (heardLate) this.#sending++;
  }

  /** The observation and what to do about it, once it was made often enough. */
  get hint(): string | undefined {
    const seen = this.#sending >= ENOUGH
      ? `Small packets pass and large ones do not: the last ${this.#sending} connections were made and ` +
        "answered pings, and no data sent over them was acknowledged"
      : this.#receiving >= ENOUGH
      ? `The last ${this.#receiving} connections were made and carried nothing after the handshake`
      : undefined;
    return seen && `${seen}. Check the MTU and path MTU discovery (ICMP) between the hosts`;
  }
}
