import type { Clock } from "../../io/mod.ts";
import type { Acknowledger } from "../receive/acknowledger.ts";
import { ProtocolError } from "../errors.ts";
import type { FlightCap } from "./flight.ts";
import { frameOf, putU64, u64Frame } from "../wire/frame.ts";
import * as limits from "../limits.ts";
import type { ConnectionSlot } from "../connection/slot.ts";
import type { ReplayBuffer } from "./replay.ts";
import type { SendQueue } from "./send_queue.ts";
import * as wire from "../wire/layout.ts";

/** Payload of a PING that measures the round trip. */
const MEASURING = new Uint8Array(8);
/** Payload of a PING with the flag SOON. */
const HURRYING = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);

export interface OutboundOptions {
  readonly queue: SendQueue;
  readonly acks: Acknowledger;
  readonly slot: ConnectionSlot;
  readonly clock: Clock;
  /** Empty; only this class changes it. */
  readonly replay: ReplayBuffer;
  readonly flight: FlightCap;
  /** Called when more bytes were acknowledged. Must not wait. */
  readonly onProgress: () => void;
}

/**
 * The connection's output: PING, PONG and ACK, frames that are sent again after a lost connection,
 * and new frames from the queue. Gathers small frames into one write. Keeps each sequenced frame
 * until it is acknowledged. Owned by the session.
 */
export class Outbound {
  readonly #queue: SendQueue;
  readonly #acks: Acknowledger;
  readonly #slot: ConnectionSlot;
  readonly #clock: Clock;
  readonly #replay: ReplayBuffer;
  readonly #flight: FlightCap;
  readonly #onProgress: () => void;

  readonly #gather = new Uint8Array(limits.GATHER_BUFFER);
  /** Bytes in it. */
  #gathered = 0;
  readonly #ack = u64Frame(wire.ACK, 0, 0);
  #postponed: Uint8Array | undefined;
  #pongOwed: Uint8Array | undefined;
  /** The PING was SOON: any other bytes are an answer, too. */
  #pongCanBeOther = false;
  #pingOwed = false;

  constructor(options: OutboundOptions) {
    this.#queue = options.queue;
    this.#acks = options.acks;
    this.#slot = options.slot;
    this.#clock = options.clock;
    this.#replay = options.replay;
    this.#flight = options.flight;
    this.#onProgress = options.onProgress;
  }

  /** Bytes sent and acknowledged. */
  get acknowledged(): number {
    return this.#replay.acked;
  }

  /** Bytes sent and not acknowledged. */
  get inFlight(): number {
    return this.#replay.inFlight;
  }

  /** Owes a PING that measures the round trip. */
  owePing(): void {
    this.#pingOwed = true;
    this.#slot.wake();
  }

  /**
   * Owes the answer to a PING with this payload; takes ownership of it.
   *
   * @param canBeOther the PING was SOON: any other bytes are an answer, too.
   */
  owePong(payload: Uint8Array, canBeOther: boolean): void {
    if (!canBeOther || !this.#pongOwed) {
      this.#pongOwed = payload;
      this.#pongCanBeOther = canBeOther;
    }
    this.#slot.wake();
  }

  /** The answer to a PING came. */
  ponged(payload: Uint8Array): void {
    if (payload[7] === MEASURING[7]) this.#slot.pongReceived();
  }

  /**
   * The other end has acknowledged `received` bytes.
   *
   * @throws {ProtocolError} when that is more than was sent, or inside a frame.
   */
  acked(received: number): void {
    if (!this.#replay.ack(received)) return;
    this.#onProgress();
    if (this.#slot.writingForMs >= limits.BLOCKED_MS) this.#flight.held();
    if (this.#flight.isRoundOver(received)) {
      this.#flight.acked(received, this.#replay.end, this.#slot.rttMs, this.#clock.now());
    }
    this.#slot.wake();
  }

  /** @throws {ProtocolError} when the bytes after `received` are not all in the replay buffer. */
  checkServable(received: number): void {
    const { acked, end } = this.#replay;
    if (received >= acked && received <= end) return;
    throw new ProtocolError(
      `The other end has ${received} bytes, but ${acked} to ${end} can be served`,
    );
  }

  /**
   * A new connection: the other end has `received` bytes, the following ones are sent again.
   *
   * @throws {ProtocolError} when they are not all in the replay buffer; the session is over then.
   */
  restart(received: number): void {
    const before = this.#replay.acked;
    this.#replay.rewind(received);
    if (this.#replay.acked > before) this.#onProgress();
    this.#postponed = undefined;
    this.#flight.restart();
  }

  /** The connection is lost, and the postponed frame with it. */
  connectionLost(): void {
    this.#postponed = undefined;
  }

  /** The next bytes to write, valid until the next call; `undefined` when there is nothing. */
  next(): Uint8Array | undefined {
    if (this.#postponed) {
      if (this.#pongCanBeOther) this.#pongOwed = undefined;
      return this.#takePostponed();
    }
    this.#gathered = 0;
    if (this.#pongOwed && !this.#pongCanBeOther) {
      this.#add(frameOf(wire.PONG, 0, this.#pongOwed));
      this.#pongOwed = undefined;
    }
    const measures = this.#pingOwed;
    if (measures) {
      this.#add(frameOf(wire.PING, 0, MEASURING));
      this.#pingOwed = false;
      this.#slot.pingSent();
    }
    this.#gatherSequenced();
    if (this.#acks.due || (this.#gathered > 0 && this.#acks.pending)) {
      putU64(this.#ack, wire.HEADER_LENGTH, this.#acks.take());
      this.#add(this.#ack);
    }
    if (this.#pongOwed) {
      if (this.#gathered === 0 && !this.#postponed) {
        this.#add(frameOf(wire.PONG, 0, this.#pongOwed));
      }
      this.#pongOwed = undefined;
    }
    if (this.#gathered === 0) return this.#takePostponed();
    // Nagle's algorithm delays the next small write until this one is acknowledged; the answer is.
    if (!measures && this.#slot.delaysSmallWrites) {
      this.#add(frameOf(wire.PING, 0, HURRYING, wire.FLAG_SOON));
    }
    return this.#gather.subarray(0, this.#gathered);
  }

  /** Gathers small frames while there is room; postpones the first frame that does not fit. */
  #gatherSequenced(): void {
    const room = this.#gather.length - 2 * (wire.HEADER_LENGTH + 8);
    let frame: Uint8Array | undefined;
    while ((frame = this.#nextSequenced()) !== undefined) {
      if (frame.length > limits.GATHER_FRAME || this.#gathered + frame.length > room) {
        this.#postponed = frame;
        return;
      }
      this.#add(frame);
    }
  }

  #add(frame: Uint8Array): void {
    this.#gather.set(frame, this.#gathered);
    this.#gathered += frame.length;
  }

  #takePostponed(): Uint8Array | undefined {
    const postponed = this.#postponed;
    this.#postponed = undefined;
    return postponed;
  }

  /** The next frame in sequence: first those to be sent again, then new ones. */
  #nextSequenced(): Uint8Array | undefined {
    if (!this.#replay.hasNext) {
      const made = this.#queue.next();
      if (!made) return undefined;
      this.#replay.push(made);
    }
    return this.#replay.takeNext();
  }
}
