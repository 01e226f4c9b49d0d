import { printable } from "../../io/mod.ts";
import type { Acknowledger } from "./acknowledger.ts";
import type { ReadBuffer, ReadBufferPool } from "../connection/buffers.ts";
import type { Decompress } from "../compress/zstd.ts";
import { CompressedPayload } from "./compressed_payload.ts";
import { codeName, ProtocolError, StreamResetError } from "../errors.ts";
import { type FrameHeader, getU64 } from "../wire/frame.ts";
import * as limits from "../limits.ts";
import type { ConnectionInput } from "../connection/connection.ts";
import type { Outbound } from "../send/outbound.ts";
import type { TunnelStream } from "../stream/stream.ts";
import type { StreamTable } from "../stream/table.ts";
import * as wire from "../wire/layout.ts";

/** Takes the peer's GOAWAY. */
export interface InboundHost {
  /** The peer has nothing more to send. */
  peerDone(): void;
  /** The peer ended the session with a reason. */
  endedByPeer(reason: string): void;
}

export interface InboundOptions {
  readonly host: InboundHost;
  readonly streams: StreamTable;
  readonly outbound: Outbound;
  readonly acks: Acknowledger;
  readonly readBuffers: ReadBufferPool;
  /** Decompresses what the peer sends; `undefined` when this end did not offer it. */
  readonly decompress?: Decompress | undefined;
}

/**
 * Dispatches incoming frames. When a connection is lost inside a DATA frame, it remembers how many
 * bytes were delivered and skips as many when the frame comes again (docs/tunnel-protocol.md,
 * section 6). Owned by the session.
 */
export class Inbound implements ConnectionInput {
  readonly readBuffers: ReadBufferPool;

  readonly #host: InboundHost;
  readonly #streams: StreamTable;
  readonly #outbound: Outbound;
  readonly #acks: Acknowledger;
  readonly #compressed: CompressedPayload | undefined;
  #readBuffer: ReadBuffer | undefined;
  #data = { raw: 0, wire: 0 };
  #target: TunnelStream | undefined;
  /** A DATA frame that a lost connection delivered in part: its header, and how many bytes. */
  #partial: { header: FrameHeader; delivered: number } | undefined;
  #current: FrameHeader | undefined;
  #delivered = 0;
  #skip = 0;

  constructor(options: InboundOptions) {
    this.readBuffers = options.readBuffers;
    this.#host = options.host;
    this.#streams = options.streams;
    this.#outbound = options.outbound;
    this.#acks = options.acks;
    this.#compressed = options.decompress && new CompressedPayload(options.decompress);
  }

  /** Payload of all DATA frames so far, bytes: decompressed, and as it came. */
  get data(): { readonly raw: number; readonly wire: number } {
    return this.#data;
  }

  /** The connection is lost; an unfinished frame comes again over the next one. */
  connectionLost(): void {
    if (this.#current === undefined) return;
    const { header, delivered } = this.#current === this.#partial?.header
      ? this.#partial
      : { header: this.#current, delivered: 0 };
    this.#partial = { header, delivered: Math.max(delivered, this.#delivered) };
    this.#current = undefined;
  }

  // ConnectionInput

  reading(buffer: ReadBuffer): void {
    this.#readBuffer = buffer;
  }

  dataBegin(header: FrameHeader): void {
    this.#skip = 0;
    const partial = this.#partial;
    if (partial) {
      const same = partial.header.stream === header.stream &&
        partial.header.length === header.length && partial.header.flags === header.flags;
      if (!same) throw new ProtocolError("The replay is not what was sent before");
      this.#skip = partial.delivered;
      this.#partial = { header, delivered: partial.delivered };
    }
    this.#target = this.#streams.lookup(header.stream);
    if (header.flags & wire.FLAG_COMPRESSED) {
      if (!this.#compressed) {
        throw new ProtocolError("Got a compressed frame, but this end did not offer to accept any");
      }
      this.#compressed.begin(header.length);
    } else {
      this.#target?.checkData(header.length - this.#skip);
    }
    this.#current = header;
    this.#delivered = 0;
  }

  dataPiece(header: FrameHeader, bytes: Uint8Array): void {
    if (header.flags & wire.FLAG_COMPRESSED) {
      // Nothing is delivered before the frame is complete: if the connection is lost, it comes again.
      const rawLength = this.#target && this.#compressed!.add(bytes);
      if (rawLength !== undefined) this.#target!.checkData(rawLength);
      return;
    }
    this.#delivered += bytes.length;
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, bytes.length);
      this.#skip -= skipped;
      if (skipped === bytes.length) return;
      bytes = bytes.subarray(skipped);
    }
    this.#target?.deliver(bytes, this.#readBuffer!);
  }

  dataEnd(header: FrameHeader): void {
    this.#partial = undefined;
    this.#current = undefined;
    let rawLength = header.length;
    if (header.flags & wire.FLAG_COMPRESSED && this.#target) {
      const content = this.#compressed!.end();
      rawLength = content.length;
      this.#target.deliverOwn(content);
    }
    this.#data.raw += rawLength;
    this.#data.wire += header.length;
    if (header.flags & wire.FLAG_FIN) this.#target?.deliverEnd();
    this.#target = undefined;
    this.#acks.count(wire.HEADER_LENGTH + header.length);
  }

  control(header: FrameHeader, payload: Uint8Array): void {
    if (header.type >= wire.FIRST_SEQUENCED) {
      if (this.#partial) throw new ProtocolError("The replay is not what was sent before");
      this.#acks.count(wire.HEADER_LENGTH + header.length);
    }
    switch (header.type) {
      case wire.ACK:
        return this.#outbound.acked(getU64(payload, 0));
      case wire.PING:
        return this.#outbound.owePong(payload.slice(), (header.flags & wire.FLAG_SOON) !== 0);
      case wire.PONG:
        return this.#outbound.ponged(payload);
      case wire.CREDIT:
        return this.#streams.lookup(header.stream)?.raiseSendLimit(getU64(payload, 0));
      case wire.RESET:
        return this.#onReset(header.stream, payload);
      case wire.GOAWAY:
        return this.#onGoaway(payload);
      default:
        throw new ProtocolError(`Got a frame of type ${header.type} after the handshake`);
    }
  }

  #onReset(id: number, payload: Uint8Array): void {
    if (this.#streams.noteEarlyReset(id)) return;
    const stream = this.#streams.lookup(id);
    if (!stream) return;
    const finalOffset = getU64(payload, wire.OFFSET_IN_RESET);
    if (finalOffset !== stream.bytesReceived) {
      throw new ProtocolError(
        `Got a reset of stream ${id} after ${finalOffset} bytes, but got ${stream.bytesReceived}`,
      );
    }
    const number = new DataView(payload.buffer, payload.byteOffset).getUint16(0);
    const code = codeName(wire.RESET_CODES, number) ?? "internal";
    const reason = decodeReason(payload.subarray(wire.REASON_OFFSET_IN_RESET));
    this.#streams.remove(stream);
    stream.fail(new StreamResetError(code, reason, "peer"));
  }

  #onGoaway(payload: Uint8Array): void {
    const number = new DataView(payload.buffer, payload.byteOffset).getUint16(0);
    if (number === wire.GOAWAY_CODES.done) return this.#host.peerDone();
    const code = codeName(wire.GOAWAY_CODES, number) ?? `code ${number}`;
    this.#host.endedByPeer(decodeReason(payload.subarray(2)) || code);
  }
}

function decodeReason(bytes: Uint8Array): string {
  return printable(new TextDecoder().decode(bytes), limits.MAX_REASON);
}
