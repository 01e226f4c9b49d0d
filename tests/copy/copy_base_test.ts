import { assert, assertEquals } from "@std/assert";
import { silentLogger } from "../../src/io/mod.ts";
import {
  DeltaDevice,
  DeltaDisk,
  hashBlocks,
  KnownHashes,
  type Range,
} from "../../src/delta/mod.ts";
import { copyDevice } from "../../src/copy/mod.ts";
import { MemoryDevice } from "../nbd/memory_device.ts";
import { ManualClock } from "../support/manual_clock.ts";

const SIZE = 18 * (1 << 20) + 5 * 4096;

/** Numbers from 0 to before `most`, the same in each run (xorshift). */
function numbers(seed: number): (most: number) => number {
  let state = seed * 2654435761 >>> 0 || 1;
  return (most) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % most;
  };
}

async function scribble(device: MemoryDevice, random: (most: number) => number, times: number) {
  for (let i = 0; i < times; i++) {
    const length = 4096 * (1 + random(200));
    const offset = Math.min(4096 * random(SIZE / 4096), SIZE - length);
    if (random(4) === 0) await device.writeZeroes(offset, length);
    else await device.write(offset, new Uint8Array(length).fill(random(256)));
  }
}

Deno.test("a copy onto any base has the contents of its source, and sends the differences", async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const random = numbers(seed);
    const source = new MemoryDevice({ sizeBytes: SIZE });
    const target = new MemoryDevice({ sizeBytes: SIZE });
    for (const device of [source, target]) await scribble(device, numbers(seed), 30);
    await scribble(source, random, 4);
    await scribble(target, random, 4);
    target.calls.length = 0;
    const { bytes } = target;
    const ask = async (range: Range) => {
      const read = (at: number, n: number) => Promise.resolve(bytes.slice(at, at + n));
      const old = { sizeBytes: SIZE, read, extents: () => Promise.resolve([]) };
      return (await hashBlocks(old, range)).encode();
    };
    const hashes = new KnownHashes({ ask, sizeBytes: SIZE, log: silentLogger });
    const disk = new DeltaDisk(hashes, SIZE);
    await copyDevice({
      ...{ source, target: new DeltaDevice(target, disk, { noHoles: false }), from: 0 },
      ...{ zeroed: false, onData: () => {}, onCheckpoint: () => Promise.resolve() },
      ...{ clock: new ManualClock(), signal: new AbortController().signal },
    });
    assertEquals(source.bytes.findIndex((byte, i) => byte !== bytes[i]), -1, `seed ${seed}`);
    const sent = target.calls.filter(({ name }) => name.startsWith("write"))
      .reduce((sum, { length = 0 }) => sum + length, 0);
    assert(sent < SIZE / 2, `${sent} bytes, seed ${seed}`);
  }
});
