import { assert, assertEquals, assertRejects } from "@std/assert";
import { BLOCK_BYTES, hashBlocks, PAGE_BYTES, type Range } from "../../src/delta/mod.ts";
import {
  BlockDiffersError,
  verifyImage,
  type VerifyOptions,
  VerifyReadError,
} from "../../src/copy/source/verify.ts";
import { MemoryDevice } from "../nbd/memory_device.ts";

const B = BLOCK_BYTES;
/** Two pages and a bit; the last block is shorter. */
const SIZE = 2 * PAGE_BYTES + 3 * B + 100;

async function pair(
  targetOptions: ConstructorParameters<typeof MemoryDevice>[0] = {},
): Promise<{ source: MemoryDevice; target: MemoryDevice }> {
  const source = new MemoryDevice({ sizeBytes: SIZE });
  const target = new MemoryDevice({ sizeBytes: SIZE, ...targetOptions });
  for (const [block, value] of [[0, 1], [7, 2], [300, 3], [514, 4]] as const) {
    const bytes = new Uint8Array(B).fill(value);
    await source.write(block * B, bytes);
    target.bytes.set(bytes, block * B);
  }
  await source.write(SIZE - 100, new Uint8Array(100).fill(9));
  target.bytes.fill(9, SIZE - 100);
  return { source, target };
}

class Run {
  readonly mended: [number, number][] = [];
  same = 0;
  asked = 0;
  readonly options: VerifyOptions;

  constructor(
    { source, target }: { source: MemoryDevice; target: MemoryDevice },
    ask?: VerifyOptions["ask"],
  ) {
    this.options = {
      ...{ source, target, now: () => 0 },
      ask: (range) => {
        this.asked++;
        return ask ? ask(range) : hashesOf(target, range);
      },
      onSame: (bytes) => this.same += bytes,
      onMended: (offset, blocks) => this.mended.push([offset, blocks]),
    };
  }
}

async function hashesOf({ bytes, sizeBytes }: MemoryDevice, range: Range) {
  const read = (at: number, n: number) => Promise.resolve(bytes.slice(at, at + n));
  const hashes = await hashBlocks(
    { sizeBytes, read, extents: () => Promise.resolve([]) },
    range,
  );
  return hashes.encode();
}

Deno.test("images that are the same are compared once, and nothing is written", async () => {
  const devices = await pair();
  const run = new Run(devices);
  const { rootHash, ...counts } = await verifyImage(run.options);
  assertEquals(counts, { blocks: 516, bytes: SIZE, seconds: 0, differed: 0 });
  assertEquals([run.same, run.asked, run.mended], [SIZE, 3, []]);
  assert(/^[0-9a-f]{64}$/.test(rootHash));
  assert(devices.target.calls.every(({ name }) => name !== "write" && name !== "writeZeroes"));
});

Deno.test("each block that differs is sent again, and no other one", async () => {
  const devices = await pair();
  const before = (await verifyImage(new Run(devices).options)).rootHash;
  const { target } = devices;
  target.bytes[7 * B + 5]! ^= 1;
  target.bytes[100 * B] = 1;
  target.bytes[SIZE - 1] = 0;
  const run = new Run(devices);
  const { differed, rootHash } = await verifyImage(run.options);
  assertEquals(differed, 3);
  assertEquals(run.mended.sort(([a], [b]) => a - b), [[7 * B, 2], [515 * B, 1]]);
  assertEquals(target.bytes, devices.source.bytes);
  assertEquals(rootHash, before);
  const changed = target.calls.filter(({ name }) => name.startsWith("write"));
  assertEquals(changed.map(({ offset, length }) => [offset! / B, length]).sort(), [
    [100, B],
    [515, 100],
    [7, B],
  ]);
});

Deno.test("what was sent again is flushed before it is compared", async () => {
  const devices = await pair();
  devices.target.bytes[0]! ^= 1;
  let flushed = 0;
  const run = new Run(devices, (range) => {
    if (range.offset === 0) flushed = devices.target.calls.filter((c) => c.name === "flush").length;
    return hashesOf(devices.target, range);
  });
  await verifyImage(run.options);
  assertEquals(flushed, 1);
});

Deno.test("a block that still differs fails with its offset", async () => {
  const devices = await pair();
  const run = new Run(devices, (range) => {
    devices.target.bytes[300 * B + 77]! ^= 1;
    return hashesOf(devices.target, range);
  });
  devices.target.bytes[300 * B + 77] = 200;
  const error = await assertRejects(() => verifyImage(run.options), BlockDiffersError);
  assertEquals(error.offset, 300 * B);
  assertEquals(run.mended, []);
});

Deno.test("an end that cannot be read is named", async () => {
  const away = new Run(await pair(), () => Promise.reject(new Error("no")));
  const target = await assertRejects(() => verifyImage(away.options), VerifyReadError);
  assertEquals([target.device, target.message], ["target", "no"]);
  const devices = await pair();
  const broken = new Run(devices);
  devices.source.read = () => Promise.reject(new Error("no"));
  const source = await assertRejects(() => verifyImage(broken.options), VerifyReadError);
  assertEquals(source.device, "source");
});
