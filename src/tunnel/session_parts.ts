import type { Clock, Logger } from "../io/mod.ts";
import { ReadBufferPool } from "./connection/buffers.ts";
import type { Liveness } from "./connection/connection.ts";
import type { SessionIdentity } from "./connection/handshake.ts";
import type { Compression } from "./compress/compressor.ts";
import type { Decompress } from "./compress/zstd.ts";
import { ConnectionSlot } from "./connection/slot.ts";
import { Ending } from "./ending.ts";
import { Grace } from "./grace.ts";
import * as limits from "./limits.ts";
import { Acknowledger } from "./receive/acknowledger.ts";
import { Inbound } from "./receive/inbound.ts";
import { FlightCap } from "./send/flight.ts";
import { Outbound } from "./send/outbound.ts";
import { Pacer } from "./send/pacer.ts";
import { ReplayBuffer } from "./send/replay.ts";
import { SendQueue } from "./send/send_queue.ts";
import { SessionConnection } from "./session_connection.ts";
import { type StreamCounts, StreamTable } from "./stream/table.ts";
import type { Hello } from "./wire/hello.ts";

/** What a session is made of; `connectSession` and `SessionServer` fill it in. */
export interface SessionOptions {
  /** `connecting`: this end made the connection, and makes the next ones. */
  readonly role: "connecting" | "listening";
  /** What the handshake agreed on. */
  readonly identity: SessionIdentity;
  /** The other end's HELLO. */
  readonly peer: Hello;
  /** How many lanes the session may have, this one included. Default: 1. */
  readonly lanes?: number;
  /** How many lanes this end wants, where it is the connecting one. Default: 1. */
  readonly wantedLanes?: number;
  /** Address of the other end of the first connection, as `HOST:PORT`, if it is known. */
  readonly from?: string;
  /** How long to wait for another connection, ms; the lower value of the two ends counts. */
  readonly graceMs: number;
  /** The time. */
  readonly clock: Clock;
  /** Gets changes of state at level `debug`. */
  readonly log: Logger;
  /** Bytes sent and not acknowledged, of all lanes, at most. Default {@link limits.IN_FLIGHT}. */
  readonly inFlight?: number;
  /** Decompresses what the peer sends; as the handshake offered it. */
  readonly decompress?: Decompress | undefined;
  /** Compresses what a peer that accepts it is sent; `undefined`: nothing. */
  readonly compression?: Compression | undefined;
  /** The same until a rate was measured. Default {@link limits.FIRST_IN_FLIGHT}. */
  readonly firstInFlight?: number;
  /** Default: {@link limits.PING_AFTER_MS} and {@link limits.DEAD_AFTER_MS}. */
  readonly liveness?: Liveness;
}

/** What a session has of each lane, and of what its lanes share. */
export interface LaneOptions extends SessionOptions {
  /** Number of the lane; 0: the first. */
  readonly lane: number;
  /** Limits the bulk of all lanes together. */
  readonly pacer: Pacer;
  /** Counts the streams of all lanes together. */
  readonly counts: StreamCounts;
  /** Whether the lane may end cleanly once its streams have ended. Default: it may. */
  readonly mayEnd?: () => boolean;
}

/** The parts of one lane, joined to each other. */
export interface LaneParts {
  readonly graceMs: number;
  readonly liveness: Liveness;
  readonly slot: ConnectionSlot;
  readonly acks: Acknowledger;
  readonly queue: SendQueue;
  readonly streams: StreamTable;
  readonly outbound: Outbound;
  readonly ending: Ending;
  readonly grace: Grace;
  readonly connection: SessionConnection;
  readonly inbound: Inbound;
}

/** Makes the parts of a lane and joins them. */
export function joinParts(options: LaneOptions): LaneParts {
  const { role, peer, clock, log, lane, pacer, counts } = options;
  const lanes = options.lanes ?? 1;
  const graceMs = Math.min(options.graceMs, peer.graceMs);
  const liveness = options.liveness ??
    { pingAfterMs: limits.PING_AFTER_MS, deadAfterMs: limits.DEAD_AFTER_MS };
  const slot = new ConnectionSlot();
  const inFlight = Math.floor((options.inFlight ?? limits.IN_FLIGHT) / lanes);
  const flight = new FlightCap(inFlight, options.firstInFlight);
  const sending = { clock, slot, flight, replay: new ReplayBuffer(graceMs > 0) };
  const readBuffers = new ReadBufferPool(Math.ceil(limits.MAX_PINNED_READ_BUFFERS / lanes));
  const acks = new Acknowledger(clock, slot);
  const grace: Grace = new Grace({
    clock,
    ms: graceMs,
    inFlight: () => outbound.inFlight,
    received: () => acks.received,
    onOver: (reason, cause) => ending.lost(reason, cause),
  });
  const queue: SendQueue = new SendQueue({
    ...sending,
    host: {
      mayEnd: () => options.mayEnd?.() ?? true,
      get rpc() {
        return streams.rpc;
      },
      get openStreams() {
        return streams.size;
      },
    },
    pacer,
    peerMaxData: peer.maxData,
    compression: peer.decompresses ? options.compression : undefined,
  });
  const onProgress = () => {
    grace.renew();
    queue.acknowledged();
  };
  const outbound: Outbound = new Outbound({ ...sending, queue, acks, onProgress });
  const streams = new StreamTable({
    ...{ lane, role, peer, clock, slot, output: queue, readBuffers, counts },
    allWindows: Math.floor(limits.ALL_WINDOWS / lanes),
  });
  const ending: Ending = new Ending({
    ...{ clock, slot, queue, acks, streams },
    onOver: () => {
      connection.stop();
      grace.stop();
    },
  });
  const { decompress } = options;
  const inbound = new Inbound({ host: ending, streams, outbound, acks, readBuffers, decompress });
  const connection = new SessionConnection({
    ...{ clock, log, liveness, graceMs, slot, acks, outbound, inbound, grace, ending },
  });
  return {
    ...{
      graceMs,
      liveness,
      slot,
      acks,
      queue,
      streams,
      outbound,
      ending,
      grace,
      connection,
      inbound,
    },
  };
}
