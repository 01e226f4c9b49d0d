import { systemClock, withDeadline } from "../../src/io/mod.ts";
import type { TunnelStream } from "../../src/tunnel/mod.ts";
import * as wire from "../../src/tunnel/wire/layout.ts";
import { compressed, decompressor, zstd } from "../tunnel/compress/compressed.ts";
import { frame, listeningEnd, shout } from "../tunnel/raw_peer.ts";
import type { Dice } from "./dice.ts";

const SESSIONS = 20;
const FRAMES = 10;
const STREAMS = [1, 3, 5];

/** Compressed frames with their zstd or their length changed. Returns how many frames it sent. */
export async function compressedFrames(dice: Dice): Promise<number> {
  const { server, intruder } = listeningEnd(0, 10_000, undefined, await decompressor());
  for (let round = 0; round < SESSIONS; round++) {
    const { pipe, session, heard } = await intruder();
    for (const id of STREAMS) readAway(session.accept(id));
    for (let i = 0; i < FRAMES && session.state === "up"; i++) {
      await inTime("a frame to be taken", shout(pipe, anyFrame(dice)));
    }
    pipe.close();
    await inTime("a session to end", Promise.all([session.ended, heard]));
  }
  await inTime("the server to close", server.close());
  return SESSIONS * FRAMES;
}

/** Legal in most cases: half of it random, half of it one byte. */
function anyFrame(dice: Dice): Uint8Array {
  const raw = new Uint8Array(1 + dice.below(4096)).fill(dice.below(256));
  raw.set(dice.bytes(dice.below(raw.length / 2)));
  const content = zstd(raw, dice.below(40) === 0 ? 20 : undefined);
  const length = dice.below(40) === 0 ? dice.below(2 ** 32) : raw.length;
  const payload = compressed(length, dice.below(10) === 0 ? dice.mutated(content) : content);
  const flags = wire.FLAG_COMPRESSED | (dice.below(40) === 0 ? wire.FLAG_FIN : 0);
  return frame(wire.DATA, dice.pick(STREAMS), payload, flags);
}

async function readAway(stream: TunnelStream): Promise<void> {
  const into = new Uint8Array(5000);
  try {
    while (await stream.read(into) !== null);
  } catch {
    // Its session is over.
  }
}

function inTime<T>(what: string, promise: Promise<T>): Promise<T> {
  return withDeadline(systemClock, 10_000, what, promise);
}
