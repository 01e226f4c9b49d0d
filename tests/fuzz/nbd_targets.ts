/**
 * Both sides of NBD against a peer that sends nearly correct bytes.
 *
 * @module
 */
import { systemClock, withDeadline, writeAll } from "../../src/io/mod.ts";
import { NbdClient, NbdError, NbdServer, probeExport } from "../../src/nbd/mod.ts";
import { chunk, NEGOTIATED, SIMPLE, simple } from "../nbd/client/answering.ts";
import { WHOLE } from "../nbd/dialogue.ts";
import { type Call, MemoryDevice } from "../nbd/memory_device.ts";
import * as t from "../nbd/server/talking.ts";
import { concat } from "../support/bytes.ts";
import { memoryPipe, type MemoryPipeEnd } from "../support/memory_pipe.ts";
import type { Dice } from "./dice.ts";

const HANG_MS = 10_000;
const SIZE = 1 << 20;
const MOST_UNDER_WAY = 8;

const inTime = <T>(what: string, promise: Promise<T>) =>
  withDeadline(systemClock, HANG_MS, what, promise);

/** A server with changed bytes, probed. */
export async function nbdProbe(dice: Dice): Promise<number> {
  const rounds = 30;
  for (let i = 0; i < rounds; i++) {
    const [ours, theirs] = memoryPipe();
    const saying = shout(theirs, dice.mutated(concat(WHOLE))).then(() => theirs.closeWrite());
    try {
      await inTime("NBD", probeExport(ours, "disk", { timeoutMs: 1000 }));
    } catch (error) {
      if (!(error instanceof NbdError)) throw error;
    }
    theirs.close();
    await saying;
  }
  return rounds;
}

/** A client that is nearly right: the server refuses, serves or hangs up, within its bounds. */
export async function nbdServer(dice: Dice): Promise<number> {
  const rounds = 20;
  for (let i = 0; i < rounds; i++) {
    const bounds = new Bounds();
    const device = new MemoryDevice({
      sizeBytes: SIZE,
      blockSize: { minimum: dice.pick([1, 512, 4096]) },
      readOnly: dice.below(8) === 0,
      before: (call) => bounds.check(call),
    });
    const server = new NbdServer([{ name: "disk", device }], { maxRequests: MOST_UNDER_WAY });
    const [ours, theirs] = memoryPipe({ chunk: () => 1 + dice.below(5000) });
    const serving = server.serve(theirs).catch((error) => {
      if (!(error instanceof NbdError) && !isOfPipe(error)) throw error;
    });
    const heard = swallow(ours);
    const bytes = concat([
      dice.pick([t.ENTRY, t.STRUCTURED_ENTRY, negotiation(dice)]),
      ...Array.from({ length: dice.below(40) }, () => anyRequest(dice)),
    ]);
    await inTime("bytes to be taken", shout(ours, dice.below(3) > 0 ? dice.mutated(bytes) : bytes));
    await ours.closeWrite();
    await inTime("an NBD server to end", serving);
    await inTime("its replies to end", heard);
    if (bounds.fault) throw new Error(bounds.fault);
    ours.close();
  }
  return rounds;
}

/** A server that is nearly right: each request of the client settles, the first fault ends them all. */
export async function nbdClient(dice: Dice): Promise<number> {
  const rounds = 20;
  for (let i = 0; i < rounds; i++) {
    const [ours, theirs] = memoryPipe({ chunk: () => 1 + dice.below(3000), capacity: 1 << 20 });
    const heard = swallow(theirs);
    const negotiation = dice.pick([NEGOTIATED, NEGOTIATED, SIMPLE]);
    const opening = NbdClient.open(ours, "x", { timeoutMs: 5000 });
    const first = dice.below(3) === 0 ? dice.mutated(negotiation) : negotiation;
    const saying = shout(theirs, first);
    let client: NbdClient | undefined;
    if (first !== negotiation) theirs.closeWrite();
    try {
      client = await inTime("an NBD negotiation", opening);
    } catch (error) {
      if (!(error instanceof NbdError)) throw error;
    }
    await saying;
    if (client) await inTime("NBD requests", talk(client, theirs, dice));
    theirs.close();
    await heard;
  }
  return rounds;
}

/** A few requests with cookies from 1 on, and answers to them. */
async function talk(client: NbdClient, server: MemoryPipeEnd, dice: Dice): Promise<void> {
  const into = new Uint8Array(64);
  const asked = [
    () => client.read(512, into),
    () => client.write(0, into),
    () => client.blockStatus(0, 4096),
    () => client.flush(),
  ];
  const requests = Array.from({ length: 1 + dice.below(6) }, () => dice.pick(asked));
  const settled = Promise.all(requests.map((ask) =>
    ask().catch((error) => {
      if (!(error instanceof NbdError)) throw error;
    })
  ));
  const answers = requests.map((ask, i) => answer(asked.indexOf(ask), BigInt(i + 1), dice));
  const bytes = concat(answers);
  await shout(server, dice.below(4) > 0 ? dice.mutated(bytes) : bytes);
  await server.closeWrite();
  await settled;
  await client.close();
}

function answer(asked: number, cookie: bigint, dice: Dice): Uint8Array {
  if (dice.below(5) === 0) {
    return chunk(cookie, 1, 0x8001 + dice.below(2), concat([t32(dice.pick([5, 28, 99])), t32(0)]));
  }
  switch (asked) {
    case 0: {
      const data = concat([new Uint8Array([0, 0, 0, 0, 0, 0, 2, 0]), dice.bytes(40)]);
      const hole = new Uint8Array([0, 0, 0, 0, 0, 0, 2, 40, 0, 0, 0, 24]);
      return concat([chunk(cookie, 0, 1, data), chunk(cookie, 1, 2, hole)]);
    }
    case 2:
      return chunk(cookie, 1, 5, concat([9, 1024, 3, 3072, dice.below(4)].map(t32)));
    default:
      return simple(cookie, 0);
  }
}

function t32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function negotiation(dice: Dice): Uint8Array {
  const options = [
    t.option(t.LIST),
    t.option(t.STRUCTURED),
    t.option(t.LIST_META, t.metaData("disk", "base:")),
    t.option(t.SET_META, t.metaData("disk", "base:allocation", "x-a:b")),
    t.option(t.INFO, t.infoData("disk", 0, 1, 2, 3)),
    t.option(dice.below(20), dice.bytes(dice.below(50))),
    t.option(dice.below(20), new Uint8Array(70_000)),
  ];
  return concat([
    t32(dice.pick([3, 3, 1, 0])),
    ...Array.from({ length: dice.below(8) }, () => dice.pick(options)),
    dice.pick([
      t.option(t.GO, t.infoData("disk", 3)),
      t.option(t.EXPORT_NAME, new TextEncoder().encode("disk")),
    ]),
  ]);
}

function anyRequest(dice: Dice): Uint8Array {
  const type = dice.below(9);
  const length = dice.pick([0, 1, 512, 4096, 65536, dice.below(5000), 2 ** 26]);
  const offset = dice.pick([0, 512, 4096, SIZE - 4096, SIZE, dice.below(SIZE), 2n ** 63n]);
  const flags = dice.below(3) === 0 ? 1 << dice.below(7) : 0;
  if (type !== 1) return t.request(type === 2 ? 3 : type, offset, length, { flags });
  const data = new Uint8Array(Math.min(length, 65536));
  return t.request(type, offset, data.length, { flags, data });
}

/** What a device may be asked for, whatever the client sends. */
class Bounds {
  fault: string | undefined;
  #underWay = 0;

  async check({ name, offset = 0, length = 0 }: Call): Promise<void> {
    if (offset + length > SIZE) this.fault ??= `${name} of ${length} bytes at ${offset}`;
    this.#underWay++;
    if (this.#underWay > MOST_UNDER_WAY) this.fault ??= `${this.#underWay} requests at once`;
    await Promise.resolve();
    this.#underWay--;
  }
}

async function shout(pipe: MemoryPipeEnd, bytes: Uint8Array): Promise<void> {
  await writeAll(pipe, bytes).catch(() => {});
}

/** Reads until the other end hangs up. */
async function swallow(pipe: MemoryPipeEnd): Promise<void> {
  const into = new Uint8Array(65536);
  try {
    while (await pipe.read(into) !== null);
  } catch {
    // It was closed here.
  }
}

function isOfPipe(error: unknown): boolean {
  return error instanceof Error && /in memory|Bad resource|stream ended/.test(error.message);
}
