import type { Clock } from "../../io/mod.ts";
import { type FrameBuffer, FrameBufferPool } from "../connection/buffers.ts";
import type { Compression } from "../compress/compressor.ts";
import { Packing } from "../compress/packing.ts";
import { ProtocolError } from "../errors.ts";
import type { FlightCap } from "./flight.ts";
import { codeFrame, resetFrame, u64Frame } from "../wire/frame.ts";
import * as limits from "../limits.ts";
import type { ConnectionSlot } from "../connection/slot.ts";
import { OutFrame } from "./out_frame.ts";
import { PacedTurn } from "./paced_turn.ts";
import type { Pacer } from "./pacer.ts";
import type { ReplayBuffer } from "./replay.ts";
import { Scheduler } from "./scheduler.ts";
import type { TunnelStream } from "../stream/stream.ts";
import type { TableOutput } from "../stream/table.ts";
import * as wire from "../wire/layout.ts";

/** What the queue needs of its session. */
export interface SendQueueHost {
  /** Stream 0, which has a turn of its own. */
  readonly rpc: TunnelStream;
  /** Streams that are open, the RPC's excepted: GOAWAY `done` waits until there is none. */
  readonly openStreams: number;
  /** GOAWAY `done` may be sent once there is none. */
  mayEnd(): boolean;
}

export interface SendQueueOptions {
  readonly host: SendQueueHost;
  readonly clock: Clock;
  readonly slot: ConnectionSlot;
  /** The frames sent so far; the queue only reads its numbers. */
  readonly replay: ReplayBuffer;
  readonly flight: FlightCap;
  /** Limits the bulk; other queues may share it. */
  readonly pacer: Pacer;
  /** The largest DATA payload that the peer accepts, bytes. */
  readonly peerMaxData: number;
  /** How to compress; `undefined` when the peer does not accept it. */
  readonly compression?: Compression | undefined;
}

/**
 * Decides which sequenced frame is sent next: CREDIT and RESET, then the RPC's frames and those of
 * the streams in turn, at last GOAWAY. Owned by the session.
 */
export class SendQueue implements TableOutput {
  readonly #host: SendQueueHost;
  readonly #clock: Clock;
  readonly #slot: ConnectionSlot;
  readonly #replay: ReplayBuffer;
  readonly #flight: FlightCap;
  readonly #peerMaxData: number;
  /** Compresses frames; `undefined` where nothing is compressed. */
  readonly packing: Packing | undefined;

  readonly #frameBuffers: FrameBufferPool;
  readonly #scheduler = new Scheduler<TunnelStream>(limits.MAX_DATA + wire.HEADER_LENGTH);
  readonly #pacer: Pacer;
  readonly #turn: PacedTurn;
  #rpcTurn = true;
  /** When a frame had to wait for the connection or its limit, ms. */
  #heldAt = -Infinity;
  #data = { raw: 0, wire: 0 };
  readonly #creditOwed = new Set<TunnelStream>();
  readonly #resetOwed = new Map<number, Uint8Array>();
  /** The last RESET ends here. */
  #resetEnd = 0;
  /** Wait until every RESET is acknowledged. */
  readonly #waiting: (() => void)[] = [];

  #goaway: "none" | "wanted" | "sent" = "none";
  #goawayEnd = 0;
  #fatal: Uint8Array | undefined;

  constructor(options: SendQueueOptions) {
    this.#host = options.host;
    this.#clock = options.clock;
    this.#slot = options.slot;
    this.#replay = options.replay;
    this.#flight = options.flight;
    this.#frameBuffers = new FrameBufferPool(options.flight.most);
    this.#pacer = options.pacer;
    this.#peerMaxData = options.peerMaxData;
    const { compression, clock, pacer, slot } = options;
    this.#turn = new PacedTurn({ pacer, clock, onTurn: () => slot.wake() });
    this.packing = compression && new Packing({ compression, clock, queue: this });
  }

  /** Payload of all DATA frames so far, bytes: as the streams gave it, and as it was sent. */
  get data(): { readonly raw: number; readonly wire: number } {
    return this.#data;
  }

  /** {@inheritDoc Waiting.waitingRate} */
  get waitingRate(): number | undefined {
    const now = this.#clock.now();
    const isBlocked = this.#slot.writingForMs >= limits.BLOCKED_MS;
    if (isBlocked || this.#flight.isQueued) this.#heldAt = now;
    if (now - this.#heldAt > limits.HELD_MS + 2 * this.#slot.rttMs) return undefined;
    const limit = this.#pacer.rate / 1000;
    const rate = this.#flight.rate ?? Infinity;
    return Math.min(limit, rate) === Infinity ? undefined : Math.min(limit, rate);
  }

  /** {@inheritDoc Waiting.alwaysWaits} */
  get alwaysWaits(): boolean {
    return this.#flight.isHeld;
  }

  /** A clean end is wanted or under way; no stream may be opened. */
  get ending(): boolean {
    return this.#goaway !== "none";
  }

  /** GOAWAY was taken for sending. */
  get goawaySent(): boolean {
    return this.#goaway === "sent";
  }

  /** The other end has acknowledged everything, GOAWAY `done` included. */
  get goawayAcked(): boolean {
    return this.goawaySent && this.#replay.acked >= this.#goawayEnd;
  }

  /**
   * Resolves when the other end has acknowledged every RESET so far: it delivers no byte of those
   * streams any more. Never, when the session ends first.
   */
  resetsDelivered(): Promise<void> {
    if (this.hasResets) return new Promise((resolve) => this.#waiting.push(resolve));
    return Promise.resolve();
  }

  /** The other end has acknowledged more. */
  acknowledged(): void {
    if (this.#waiting.length === 0 || this.hasResets) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** The other end has not acknowledged every RESET. */
  get hasResets(): boolean {
    return this.#resetOwed.size > 0 || this.#replay.acked < this.#resetEnd;
  }

  /** Limits all streams together, the RPC excepted, to `rate` bytes per second, from now on. */
  setBandwidth(rate: number): void {
    this.#pacer.setRate(rate, this.#clock.now());
    // The wait that is under way was computed with the old rate.
    this.#turn.reset();
    this.#slot.wake();
  }

  /** Sends GOAWAY `done` once all streams are over. */
  wantGoaway(): void {
    if (this.#goaway === "none") this.#goaway = "wanted";
    this.#slot.wake();
  }

  /** Sends GOAWAY with a reason before everything else. */
  sendFatal(code: wire.GoawayCode, reason: string): void {
    this.#fatal = codeFrame(wire.GOAWAY, wire.GOAWAY_CODES[code], reason);
  }

  /** The session is over: only its GOAWAY may still be sent. */
  stop(): void {
    this.#turn.stop();
    this.packing?.stop();
    this.#creditOwed.clear();
    this.#resetOwed.clear();
  }

  // TableOutput

  get maxData(): number {
    return Math.min(limits.MAX_DATA, this.#peerMaxData, this.#flight.frameBytes);
  }

  readyToSend(stream: TunnelStream): void {
    if (stream !== this.#host.rpc) this.#scheduler.ready(stream);
    this.#slot.wake();
  }

  owesCredit(stream: TunnelStream): void {
    if (this.#creditOwed.has(stream)) return;
    this.#creditOwed.add(stream);
    this.#slot.wake();
  }

  owesReset(
    stream: TunnelStream,
    code: wire.ResetCode,
    finalOffset: number,
    reason: string,
  ): void {
    this.#resetOwed.set(
      stream.id,
      resetFrame(stream.id, wire.RESET_CODES[code], finalOffset, reason),
    );
    this.#slot.wake();
  }

  get resetsOwed(): number {
    return this.#resetOwed.size;
  }

  forget(stream: TunnelStream): void {
    this.#scheduler.remove(stream);
    this.#creditOwed.delete(stream);
    if (this.#goaway === "wanted") this.#slot.wake();
  }

  takeFrameBuffer(length: number): FrameBuffer {
    return this.#frameBuffers.take(length);
  }

  // The order

  /** Takes the next frame to send; `undefined` when none may be sent now. */
  next(): OutFrame | undefined {
    if (this.#fatal) {
      const frame = new OutFrame(this.#fatal);
      this.#fatal = undefined;
      // No sequenced frame may follow a GOAWAY.
      this.#goaway = "sent";
      return frame;
    }
    if (this.#goaway === "sent") return undefined;
    const control = this.#newControl();
    if (control) return new OutFrame(control);
    // RPC and bulk alternate frame by frame, so that neither can block the other.
    const rpcFirst = this.#rpcTurn;
    this.#rpcTurn = !rpcFirst;
    const made = rpcFirst
      ? this.#host.rpc.takeFrame() ?? this.#newBulk()
      : this.#newBulk() ?? this.#host.rpc.takeFrame();
    if (made) return made;
    if (this.#goaway === "wanted" && this.#host.openStreams === 0 && this.#host.mayEnd()) {
      this.#goaway = "sent";
      const frame = codeFrame(wire.GOAWAY, wire.GOAWAY_CODES.done, "");
      this.#goawayEnd = this.#replay.end + frame.length;
      return new OutFrame(frame);
    }
    return undefined;
  }

  #newControl(): Uint8Array | undefined {
    if (this.#creditOwed.size === 0 && this.#resetOwed.size === 0) return undefined;
    if (this.#replay.inFlight > this.#flight.most + limits.MAX_UNACKED_CONTROL) {
      throw new ProtocolError(
        `The other end left ${this.#replay.inFlight} bytes unacknowledged and kept sending`,
      );
    }
    for (const stream of this.#creditOwed) {
      this.#creditOwed.delete(stream);
      return u64Frame(wire.CREDIT, stream.id, stream.grantCredit());
    }
    for (const [id, frame] of this.#resetOwed) {
      this.#resetOwed.delete(id);
      this.#resetEnd = this.#replay.end + frame.length;
      return frame;
    }
    return undefined;
  }

  #newBulk(): OutFrame | undefined {
    if (this.#turn.waits) {
      this.#flight.held();
      return undefined;
    }
    const stream = this.#scheduler.next();
    if (!stream) return undefined;
    const length = stream.nextFrameLength;
    const inFlight = this.#replay.inFlight;
    if (inFlight > 0 && inFlight + length > this.#flight.bytes) {
      this.#flight.limited();
      this.#heldAt = this.#clock.now();
      return undefined;
    }
    if (!this.#turn.take(length)) {
      this.#flight.held();
      this.#heldAt = this.#clock.now();
      return undefined;
    }
    this.#scheduler.sent(stream, length);
    const frame = stream.takeFrame()!;
    this.#data.raw += frame.rawLength;
    this.#data.wire += frame.bytes.length - wire.HEADER_LENGTH;
    return frame;
  }
}
