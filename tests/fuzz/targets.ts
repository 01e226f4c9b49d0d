/**
 * The fuzzed code: everything that parses bytes of a peer. Each target processes one round of random
 * input; it throws on a crash, a hang or a wrong state.
 *
 * @module
 */
import { silentLogger, systemClock, withDeadline, writeAll } from "../../src/io/mod.ts";
import {
  ResumedStream,
  StreamError,
  type StreamItem,
} from "../../src/migrate/postcopy/resumed_stream.ts";
import { QmpClient, QmpCommandError, QmpError } from "../../src/qmp/mod.ts";
import { ChannelServer, RpcPeer } from "../../src/rpc/mod.ts";
import { openSession, resumeSession } from "../../src/tunnel/connection/handshake.ts";
import { limits, type Session, SessionError, type TunnelStream } from "../../src/tunnel/mod.ts";
import * as wire from "../../src/tunnel/wire/layout.ts";
import { WHOLE as RESUMED } from "../migrate/postcopy/source_stream.ts";
import { concat } from "../support/bytes.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { frame, listen, listeningEnd, LOCAL, shout, u64 } from "../tunnel/raw_peer.ts";
import { compressedFrames } from "./compressed_frames.ts";
import { Dice } from "./dice.ts";
import { nbdClient, nbdProbe, nbdServer } from "./nbd_targets.ts";

/** Returns how many frames, lines or dialogues it sent. */
export type Target = (dice: Dice) => Promise<number>;

const HANG_MS = 10_000;

const inTime = <T>(what: string, promise: Promise<T>) =>
  withDeadline(systemClock, HANG_MS, what, promise);

export const targets: Readonly<Record<string, Target>> = {
  /** A peer before its credential: a handshake with some of its bytes changed, and more. */
  "before authentication": async (dice) => {
    const { network, server, sessions } = listeningEnd();
    const rounds = 20;
    for (let i = 0; i < rounds; i++) {
      const [pipe, tap] = memoryPipe({ capacity: 1 << 20 });
      const opening = openSession(pipe, LOCAL).catch(() => {});
      const hello = new Uint8Array(wire.PREFACE_LENGTH + wire.HEADER_LENGTH + wire.HELLO_LENGTH);
      for (let got = 0; got < hello.length;) got += (await tap.read(hello.subarray(got)))!;
      pipe.close();
      await opening;
      const victim = await network.dial();
      const heard = listen(victim);
      const auth = frame(wire.AUTH, 0, dice.bytes(32));
      await shout(victim, dice.mutated(concat([hello, auth])), dice.bytes(dice.below(200)));
      await victim.closeWrite();
      await inTime("the session to refuse an unknown peer", heard);
      victim.close();
    }
    if (sessions.length > 0) throw new Error("A peer without the secret got a session");
    await inTime("the server to close", server.close());
    return rounds;
  },

  /** A peer after the handshake that sends frames, most of them legal. */
  "after authentication": async (dice) => {
    const { server, intruder } = listeningEnd();
    const { pipe, session, heard } = await intruder();
    serve(session);
    acceptStreams(session);
    let sent = 0;
    const mischief = dice.below(4) > 0;
    const next = legalFrames(dice);
    for (let batch = 0; batch < 20 && session.state === "up"; batch++) {
      const frames: Uint8Array[] = [];
      for (let i = 0; i < 500; i++) {
        const legal = next();
        frames.push(mischief && dice.below(2000) === 0 ? dice.mutated(legal) : legal);
      }
      sent += frames.length;
      await inTime("frames to be taken", shout(pipe, concat(frames)));
    }
    if (!mischief && session.state !== "up") {
      throw new Error(`Legal frames ended the session: ${(await session.ended)?.message}`);
    }
    pipe.close();
    await inTime("a session to end", Promise.all([session.ended, heard]));
    await inTime("the server to close", server.close());
    return sent;
  },

  /** A peer that loses its connection inside frames and resumes the session. */
  resume: async (dice) => {
    const local = { ...LOCAL, graceMs: 60_000 };
    const { network, server, intruder } = listeningEnd(local.graceMs);
    let { pipe, session, identity } = await intruder();
    serve(session);
    acceptStreams(session);
    const frames = Array.from({ length: 1000 }, legalFrames(dice))
      .filter((bytes) => bytes[4]! >= wire.FIRST_SEQUENCED);
    const script = concat(frames);
    let [at, epoch] = [0, 0];
    while (at < script.length && session.state !== "ended") {
      const heard = listen(pipe);
      await inTime("frames to be taken", shout(pipe, script.subarray(at, at + dice.below(1000))));
      pipe.close();
      await heard;
      pipe = await network.dial();
      // Mostly correct; a stale epoch or an impossible number now and then.
      epoch += dice.below(20) === 0 ? 0 : 1;
      const received = dice.below(50) === 0 ? dice.below(1000) : 0;
      const answer = resumeSession(pipe, local, identity, epoch, received);
      try {
        at = (await inTime("a resume to be answered", answer)).peerReceived;
      } catch (error) {
        if (!(error instanceof SessionError)) throw error;
      }
    }
    pipe.close();
    session.abort("test over", "stopped");
    await inTime("the server to close", server.close());
    return frames.length;
  },

  compressed: compressedFrames,

  /** RPC messages with their JSON changed. */
  rpc: async (dice) => {
    const { server, intruder } = listeningEnd();
    const rounds = 20;
    for (let round = 0; round < rounds; round++) {
      const { pipe, session, heard } = await intruder();
      serve(session);
      for (let i = 0; i < 10 && session.state === "up"; i++) {
        const json = dice.pick(MESSAGES);
        const body = new TextEncoder().encode(json);
        const changed = dice.below(3) === 0 ? dice.mutated(body) : body;
        const message = new Uint8Array(4 + changed.length);
        new DataView(message.buffer).setUint32(0, changed.length);
        message.set(changed, 4);
        await inTime("a message to be taken", shout(pipe, frame(wire.DATA, 0, message)));
      }
      pipe.close();
      await inTime("a session to end", Promise.all([session.ended, heard]));
    }
    await inTime("the server to close", server.close());
    return rounds * 10;
  },

  /** A QMP server with changed bytes. */
  qmp: async (dice) => {
    const rounds = 30;
    for (let i = 0; i < rounds; i++) {
      const [ours, theirs] = memoryPipe();
      const lines = dice.mutated(new TextEncoder().encode(QMP_LINES));
      const saying = writeAll(theirs, lines).then(() => theirs.closeWrite()).catch(() => {});
      try {
        const client = await inTime("QMP", QmpClient.open(ours, { commandTimeoutMs: 1000 }));
        client.close();
      } catch (error) {
        if (!(error instanceof QmpError) && !(error instanceof QmpCommandError)) throw error;
      }
      theirs.close();
      await saying;
    }
    return rounds;
  },

  /** A source that resumes post-copy, with changed bytes: the same in any portions. */
  postcopy: (dice) => {
    const rounds = 300;
    for (let i = 0; i < rounds; i++) {
      const bytes = dice.below(4) === 0 ? dice.bytes(dice.below(500)) : dice.mutated(RESUMED);
      const portions: Uint8Array[] = [];
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + 1 + dice.below(40));
        portions.push(part);
        at += part.length;
      }
      const [whole, cut] = [parsed([bytes]), parsed(portions)];
      if (whole !== cut) throw new Error(`Got ${cut} in portions, expected ${whole}`);
    }
    return Promise.resolve(rounds);
  },

  nbd: nbdProbe,
  "NBD server": nbdServer,
  "NBD client": nbdClient,
};

/** The items of a resumed stream and its error, as text. */
function parsed(portions: readonly Uint8Array[]): string {
  const stream = new ResumedStream(4096);
  const items: StreamItem[] = [];
  try {
    for (const portion of portions) items.push(...stream.push(portion));
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    // Items of the portion with the error are lost.
    return error.message;
  }
  return JSON.stringify(items);
}

/** The RPC of a receiving end, with a channel whose bytes are dropped. */
function serve(session: Session): void {
  const channels = new ChannelServer(session);
  channels.serve("nowhere", () => Promise.reject(new Error("Nothing is there")));
  const rpc = new RpcPeer(session.rpc, {
    clock: systemClock,
    log: silentLogger,
    onFault: (error) => session.abort(error.message, "protocol-error"),
    handlers: { openTunnel: (params) => channels.open(params) },
  });
  session.ended.then(() => rpc.join());
}

/** Payload of large frames: enough to be pinned, and to fill a window that nobody reads. */
const LARGE = new Dice(1).bytes(24 * 1024);
/** Bytes of large frames on a stream; the small ones fit behind them. */
const ALLOWED = limits.FIRST_WINDOW - 16 * 1024;

/** Streams that the peer may send on; every other one is read, the rest fill their windows. */
function acceptStreams(session: Session): void {
  for (let id = 1; id < 20; id += 2) {
    const stream = session.accept(id);
    if (id % 4 === 1) readAway(stream);
  }
}

async function readAway(stream: TunnelStream): Promise<void> {
  const into = new Uint8Array(5000);
  try {
    while (await stream.read(into) !== null);
  } catch {
    // It was reset, or its session is over.
  }
}

/** Legal frames, one after the other. */
function legalFrames(dice: Dice): () => Uint8Array {
  /** Bytes sent on each stream, which a RESET must name. */
  const sent = new Map<number, number>();
  return () => {
    const stream = 1 + 2 * dice.below(10);
    if (dice.below(500) === 0) {
      const end = u64(sent.get(stream) ?? 0);
      const payload = concat([new Uint8Array(2), end, dice.bytes(dice.below(9))]);
      return frame(wire.RESET, stream, payload);
    }
    switch (dice.below(6)) {
      case 0:
        return frame(wire.PING, 0, dice.bytes(8), dice.below(2) * wire.FLAG_SOON);
      case 1:
        return frame(wire.PONG, 0, dice.bytes(8));
      case 2:
        return frame(wire.ACK, 0, u64(0));
      case 3:
        return frame(wire.CREDIT, stream, u64(dice.below(2 ** 30)));
      default: {
        const before = sent.get(stream) ?? 0;
        const [wish, room] = dice.below(100) === 0
          ? [dice.below(LARGE.length), ALLOWED - before]
          : [dice.below(2) * dice.below(4), limits.FIRST_WINDOW - before];
        const length = Math.max(0, Math.min(wish, room));
        sent.set(stream, before + length);
        return frame(wire.DATA, stream, LARGE.subarray(0, length));
      }
    }
  };
}

const MESSAGES = [
  '{"id": 1, "method": "openTunnel", "params": {"stream": 21, "channel": "nowhere"}}',
  '{"id": 2, "method": "openTunnel", "params": {"stream": 2, "channel": "x"}}',
  '{"id": 3, "method": "prepare", "params": {"guest": null, "disks": []}}',
  '{"id": 4, "method": "__proto__", "params": {"constructor": 1}}',
  '{"id": 5, "result": {"status": "running"}}',
  '{"id": 6, "error": {"code": "refused", "message": "no"}}',
];

const QMP_LINES = [
  '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}',
  '{"return": {}, "id": 1}',
  '{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}',
  '{"return": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "id": 2}',
  '{"return": [{"name": "query-status"}], "id": 3}',
  "",
].join("\n");
