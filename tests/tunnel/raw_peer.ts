import {
  type BytePipe,
  type Clock,
  silentLogger,
  systemClock,
  writeAll,
} from "../../src/io/mod.ts";
import { FrameParser, putHeader } from "../../src/tunnel/wire/frame.ts";
import { openSession } from "../../src/tunnel/connection/handshake.ts";
import { type Decompress, type Session, SessionServer } from "../../src/tunnel/mod.ts";
import * as wire from "../../src/tunnel/wire/layout.ts";
import { memoryNetwork } from "../support/cutting.ts";

/** A frame with any header, legal or not. */
export function frame(
  type: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
  flags = 0,
): Uint8Array {
  const bytes = new Uint8Array(wire.HEADER_LENGTH + payload.length);
  putHeader(bytes, payload.length, type, flags, stream);
  bytes.set(payload, wire.HEADER_LENGTH);
  return bytes;
}

export function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** A frame that a raw peer received; `text` is the reason of a frame that has one. */
export interface Heard {
  readonly type: number;
  readonly stream: number;
  readonly length: number;
  readonly text: string;
}

export const SECRET = new TextEncoder().encode("sixteen bytes ok");
export const LOCAL = { secret: SECRET, graceMs: 0, version: "1.0.0" };

/** Lanes that {@link listeningEnd} allows. */
export const MOST_LANES = 4;

/** A listening end, and raw connections to it. */
export function listeningEnd(
  graceMs = 0,
  handshakeMs = 10_000,
  inFlight?: number,
  decompress?: Decompress,
  clock: Clock = systemClock,
) {
  const quiet = memoryNetwork(() => undefined, { capacity: 1 << 20 });
  const dialled: BytePipe[] = [];
  const network = {
    ...quiet,
    async dial() {
      const pipe = await quiet.dial();
      dialled.push(pipe);
      return pipe;
    },
  };
  const sessions: Session[] = [];
  const waiters: ((session: Session) => void)[] = [];
  const server = new SessionServer(network.acceptor, {
    local: { ...LOCAL, graceMs, decompress, lanes: MOST_LANES },
    clock,
    log: silentLogger,
    handshakeMs,
    ...(inFlight ? { inFlight } : {}),
    onSession: (session) => {
      sessions.push(session);
      waiters.shift()?.(session);
    },
  });
  return {
    network,
    sessions,
    server: {
      /** Closes the listening end, hangs up, and waits until the sessions have ended. */
      async close(): Promise<void> {
        await server.close();
        for (const pipe of dialled) pipe.close();
        await Promise.all(sessions.map((session) => session.close()));
      },
    },
    /** A peer that has done the handshake and then sends what the test wants. */
    async intruder(sofar: Heard[] = [], lanes = 1) {
      const coming = new Promise<Session>((resolve) => waiters.push(resolve));
      const pipe = await network.dial();
      const { identity } = await openSession(pipe, { ...LOCAL, graceMs, lanes });
      const session = await coming;
      return { pipe, session, identity, heard: listen(pipe, sofar) };
    },
  };
}

/** Reads frames until the other end hangs up; adds each to `heard` as it comes. */
export async function listen(pipe: BytePipe, heard: Heard[] = []): Promise<Heard[]> {
  const add = (type: number, stream: number, length: number, text = "") =>
    heard.push({ type, stream, length, text });
  const parser = new FrameParser({
    dataBegin() {},
    dataPiece() {},
    dataEnd: (h) => add(h.type, h.stream, h.length),
    control: (h, payload) =>
      add(h.type, h.stream, h.length, new TextDecoder().decode(payload.subarray(2))),
  });
  const buffer = new Uint8Array(65536);
  try {
    for (let n; (n = await pipe.read(buffer)) !== null;) parser.push(buffer.subarray(0, n));
  } catch {
    // The test closed the pipe, which is an end, too.
  }
  return heard;
}

/** Sends everything; stops without an error when the other end has hung up. */
export async function shout(pipe: BytePipe, ...parts: readonly Uint8Array[]): Promise<void> {
  for (const part of parts) {
    try {
      await writeAll(pipe, part);
    } catch {
      return;
    }
  }
}
