import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../src/io/mod.ts";
import type { Result } from "../../src/rpc/mod.ts";
import { BLOCK_BYTES, hashBlocks, type Range } from "../../src/delta/block_hashes.ts";
import { DeltaDevice, DeltaDisk } from "../../src/delta/delta_device.ts";
import { KnownHashes } from "../../src/delta/known_hashes.ts";
import { MemoryDevice } from "../nbd/memory_device.ts";

const B = BLOCK_BYTES;
const BLOCKS = 6;

/** A disk of six blocks and a bit; block 0 and 5 are zeroes, the others are filled with their number. */
class Rig {
  readonly target = new MemoryDevice({ sizeBytes: BLOCKS * B + 100 });
  readonly device: DeltaDevice;
  readonly disk: DeltaDisk;
  /** Called before the hashes of a range are taken. */
  before: () => Promise<void> = () => Promise.resolve();
  /** Called after that. */
  after: () => Promise<void> = () => Promise.resolve();

  constructor(options: { noHoles?: boolean; isKnown?: boolean; zeroRequests?: boolean } = {}) {
    const { target } = this;
    for (let i = 1; i < BLOCKS - 1; i++) target.bytes.fill(i, i * B, (i + 1) * B);
    const ask = (range: Range) => this.#hashes(range);
    const known = new KnownHashes({ ask, sizeBytes: target.sizeBytes, log: silentLogger });
    this.disk = new DeltaDisk(options.isKnown === false ? undefined : known, target.sizeBytes);
    const { noHoles = false, zeroRequests = true } = options;
    this.device = new DeltaDevice(target, this.disk, { noHoles, zeroRequests });
  }

  /** What reached the target, as `write 2+1`: blocks. */
  get sent(): string[] {
    return this.target.calls.map(({ name, offset = 0, length = 0 }) =>
      length === 0 ? name : `${name} ${offset / B}+${length / B}`
    );
  }

  async #hashes({ offset, length }: Range): Promise<Result<"hashBlocks">> {
    await this.before();
    const { bytes, sizeBytes } = this.target;
    const source = {
      sizeBytes,
      read: (at: number, n: number) => Promise.resolve(bytes.slice(at, at + n)),
      extents: () => Promise.resolve([]),
    };
    const hashes = await hashBlocks(source, { offset, length });
    await this.after();
    return hashes.encode();
  }
}

function blocks(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * B);
  for (const [i, value] of values.entries()) bytes.fill(value, i * B, (i + 1) * B);
  return bytes;
}

Deno.test("a write is sent only where the destination holds something else", async () => {
  const rig = new Rig();
  await rig.device.write(B, blocks(1, 9, 9, 4));
  assertEquals(rig.sent, ["write 2+2"]);
  assertEquals(rig.disk.skippedBytes, 2 * B);
  assertEquals(rig.target.bytes.subarray(B, 5 * B), blocks(1, 9, 9, 4));
});

Deno.test("a request that fails while later hashes are awaited fails its write, and only that", async () => {
  const rig = new Rig();
  const hashes = Promise.withResolvers<void>();
  rig.before = () => hashes.promise;
  rig.target.write = () => Promise.reject(new Error("the connection was cut"));
  // The first half block is sent at once, the whole one is compared.
  const bytes = new Uint8Array(B / 2 + B).fill(9);
  const failing = assertRejects(() => rig.device.write(B / 2, bytes), Error, "was cut");
  // By then Deno has reported a rejection that nobody handles.
  await new Promise((resolve) => setTimeout(resolve));
  hashes.resolve();
  await failing;
});

Deno.test("a block that was written is never compared with its old hash again", async () => {
  const rig = new Rig();
  await rig.device.write(B, blocks(9));
  await rig.device.write(B, blocks(1));
  assertEquals(rig.sent, ["write 1+1", "write 1+1"]);
  assertEquals(rig.target.bytes[B], 1);
});

Deno.test("a hash that was taken before a write, and arrives after it, is not believed", async () => {
  for (const when of ["before", "after"] as const) {
    const rig = new Rig();
    const asked = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    rig[when] = () => {
      asked.resolve();
      return go.promise;
    };
    // A part of a block is sent without any hash.
    const old = rig.device.write(B, blocks(1));
    await asked.promise;
    await rig.device.write(B + 10, new Uint8Array([9]));
    go.resolve();
    await old;
    assertEquals(rig.target.bytes.subarray(B, 2 * B), blocks(1), `hash taken ${when} the write`);
  }
});

Deno.test("parts of blocks are sent, and the short last block is compared whole", async () => {
  const rig = new Rig();
  await rig.device.write(B - 10, new Uint8Array(20));
  assertEquals(rig.target.bytes[B + 9], 0);
  await rig.device.write(BLOCKS * B, new Uint8Array(100));
  assertEquals(rig.disk.skippedBytes, 100);
  await rig.device.write(BLOCKS * B, new Uint8Array(100).fill(7));
  assertEquals(rig.target.bytes.at(-1), 7);
});

Deno.test("zeroes are sent only where there are none, as holes unless the image shall have none", async () => {
  for (const noHoles of [false, true]) {
    const rig = new Rig({ noHoles });
    await rig.device.writeZeroes(0, 3 * B, { noHole: true });
    assertEquals(rig.sent, ["writeZeroes 1+2"]);
    assertEquals([rig.disk.skippedBytes, rig.disk.skippedZeroBytes], [B, B]);
    assertEquals((rig.target.calls[0]!.options as { noHole: boolean }).noHole, noHoles);
    // Zeroes that come as data are zeroes, too.
    await rig.device.write(4 * B, blocks(0, 0));
    assertEquals(rig.sent.slice(1), ["writeZeroes 4+1"]);
  }
});

Deno.test("where requests for zeroes are not offered, zeroes come as data and still arrive as zeroes", async () => {
  const rig = new Rig({ zeroRequests: false });
  assertEquals([rig.device.can.writeZeroes, rig.device.can.fastZero], [false, false]);
  await rig.device.write(0, blocks(0, 0));
  assertEquals(rig.sent, ["writeZeroes 1+1"]);
  assertEquals([new Rig().device.can.writeZeroes, rig.target.bytes[B]], [true, 0]);
});

Deno.test("a write with FUA of which nothing is sent flushes what the destination holds", async () => {
  const rig = new Rig();
  await rig.device.write(B, blocks(1), { fua: true });
  assertEquals(rig.sent, ["flush"]);
  await rig.device.writeZeroes(0, B, { fua: true });
  assertEquals(rig.sent, ["flush", "flush"]);
});

Deno.test("without hashes everything is sent", async () => {
  const unknown = new Rig({ isKnown: false });
  await unknown.device.write(B, blocks(1, 2));
  assertEquals(unknown.sent, ["write 1+2"]);
  const refused = new Rig();
  refused.before = () => Promise.reject(new Error("I/O error"));
  await refused.device.write(B, blocks(1, 2));
  await refused.device.writeZeroes(0, B);
  assertEquals(refused.sent, ["write 1+2", "writeZeroes 0+1"]);
});

Deno.test("a discard is not passed on: the next run would find the blocks gone", async () => {
  const rig = new Rig();
  assertEquals(rig.device.can.trim, false);
  await rig.device.trim();
  assertEquals(rig.sent, []);
});

Deno.test("random writes leave on the target what a disk without hashes would have", async () => {
  const random = randomFrom(7);
  const rig = new Rig();
  const plain = rig.target.bytes.slice();
  for (let i = 0; i < 400; i++) {
    const offset = Math.floor(random() * plain.length / 512) * 512;
    const length = Math.min(plain.length - offset, 1 + Math.floor(random() * 3 * B));
    const value = Math.floor(random() * 5);
    const data = new Uint8Array(length).fill(value);
    if (random() < 0.5) data.set(plain.subarray(offset, offset + length));
    if (value === 0) {
      await rig.device.writeZeroes(offset, length);
      plain.fill(0, offset, offset + length);
    } else {
      await rig.device.write(offset, data);
      plain.set(data, offset);
    }
    assertEquals(rig.target.bytes.every((byte, at) => byte === plain[at]), true, `step ${i}`);
  }
});

/** Numbers from 0 to below 1 (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
