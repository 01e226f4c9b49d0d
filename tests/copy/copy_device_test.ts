import { assert, assertEquals, assertRejects } from "@std/assert";
import { copyDevice, CopyDeviceError, type CopyDeviceOptions } from "../../src/copy/mod.ts";
import { NbdDeviceError } from "../../src/nbd/mod.ts";
import { MemoryDevice } from "../nbd/memory_device.ts";
import { ManualClock } from "../support/manual_clock.ts";

const MiB = 1 << 20;
const SIZE = 24 * MiB;

/** A device with data in a few places, some of it zeroes that were written. */
async function source(): Promise<MemoryDevice> {
  const device = new MemoryDevice({ sizeBytes: SIZE });
  await device.write(3 * MiB + 4096, new Uint8Array(2 * MiB).fill(7));
  await device.write(16 * MiB, new Uint8Array(4 * MiB));
  await device.write(SIZE - 4096, new Uint8Array(4096).fill(9));
  device.calls.length = 0;
  return device;
}

function options(
  from: MemoryDevice,
  to: MemoryDevice,
  more: Partial<CopyDeviceOptions> = {},
): CopyDeviceOptions {
  return {
    ...{ source: from, target: to, from: 0, zeroed: true, clock: new ManualClock() },
    ...{ onData: () => {}, onCheckpoint: () => Promise.resolve() },
    signal: new AbortController().signal,
    ...more,
  };
}

/** Without a list of every difference. */
function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assertEquals(actual.findIndex((byte, i) => byte !== expected[i]), -1);
}

function sum(device: MemoryDevice, name: string): number {
  return device.calls.filter((call) => call.name === name)
    .reduce((sum, { length = 0 }) => sum + length, 0);
}

Deno.test("a copy reads no holes and writes no zeroes to a target of zeroes", async () => {
  const [from, to] = [await source(), new MemoryDevice({ sizeBytes: SIZE })];
  await copyDevice(options(from, to));
  assertSame(to.bytes, from.bytes);
  assertEquals(sum(from, "read"), 6 * MiB + 4096);
  assertEquals(sum(to, "write"), 2 * MiB + 4096);
  assertEquals(sum(to, "writeZeroes"), 0);
  assertEquals(to.calls.at(-1)!.name, "flush");
});

Deno.test("a copy clears what an old target has where the source has zeroes", async () => {
  const [from, to] = [await source(), new MemoryDevice({ sizeBytes: SIZE })];
  await to.write(0, new Uint8Array(SIZE).fill(1));
  to.calls.length = 0;
  await copyDevice(options(from, to, { zeroed: false }));
  assertSame(to.bytes, from.bytes);
  assertEquals(sum(to, "write"), 2 * MiB + 4096);
});

Deno.test("a target without WRITE_ZEROES is cleared by writes", async () => {
  const [from, to] = [
    await source(),
    new MemoryDevice({ sizeBytes: SIZE, can: { writeZeroes: false } }),
  ];
  await to.write(0, new Uint8Array(SIZE).fill(1));
  await copyDevice(options(from, to, { zeroed: false }));
  assertSame(to.bytes, from.bytes);
  assertEquals(sum(to, "writeZeroes"), 0);
});

Deno.test("a source without block status is read as a whole", async () => {
  const device = await source();
  const from = Object.assign(device, { can: { ...device.can, blockStatus: false } });
  const to = new MemoryDevice({ sizeBytes: SIZE });
  await copyDevice(options(from, to));
  assertSame(to.bytes, from.bytes);
  assertEquals(sum(from, "read"), SIZE);
  assertEquals(sum(to, "write"), 2 * MiB + 65536 * 2);
});

Deno.test("at most 16 requests are under way, of 1 MiB each", async () => {
  let [active, most] = [0, 0];
  const from = new MemoryDevice({
    sizeBytes: SIZE,
    before: async ({ name }) => {
      if (name !== "read") return;
      most = Math.max(most, ++active);
      await new Promise((resolve) => setTimeout(resolve, 0));
      active--;
    },
  });
  await from.write(0, new Uint8Array(SIZE).fill(3));
  const to = new MemoryDevice({ sizeBytes: SIZE });
  await copyDevice(options(from, to));
  assertEquals(most, 16);
  assertSame(to.bytes, from.bytes);
  const lengths = from.calls.filter(({ name }) => name === "read").map(({ length }) => length!);
  assertEquals(Math.max(...lengths), MiB);
});

Deno.test("a copy continues where an earlier one was", async () => {
  const [from, to] = [await source(), new MemoryDevice({ sizeBytes: SIZE })];
  await copyDevice(options(from, to, { from: 4 * MiB }));
  assertSame(to.bytes.subarray(4 * MiB), from.bytes.subarray(4 * MiB));
  assert(from.calls.every(({ offset = SIZE }) => offset >= 4 * MiB));
});

Deno.test("a checkpoint names only what was flushed, also when requests end out of order", async () => {
  const size = 48 * MiB;
  let now = 0;
  const clock = { now: () => now, after: () => () => {} };
  const held = Promise.withResolvers<void>();
  const from = new MemoryDevice({ sizeBytes: size });
  await from.write(0, new Uint8Array(size).fill(3));
  const to = new MemoryDevice({
    sizeBytes: size,
    before: async ({ name, offset }) => {
      if (name === "write" && offset === 5 * MiB) await held.promise;
      if (name === "write" && offset === 8 * MiB) now += 5_000;
    },
  });
  const noted: number[] = [];
  const copied = copyDevice(options(from, to, {
    clock,
    onCheckpoint: (doneBytes) => {
      noted.push(doneBytes);
      held.resolve();
      return Promise.resolve();
    },
  }));
  await copied;
  assertEquals(noted, [5 * MiB, size]);
  assertSame(to.bytes, from.bytes);
});

for (const device of ["source", "target"] as const) {
  Deno.test(`a request that fails at the ${device} ends the copy with its error`, async () => {
    let active = 0;
    const before = async ({ name, offset = 0 }: { name: string; offset?: number }) => {
      if (name !== (device === "source" ? "read" : "write")) return;
      active++;
      await new Promise((resolve) => setTimeout(resolve, 0));
      active--;
      if (offset === 12 * MiB) throw new NbdDeviceError("ENOSPC", "No space left on device");
    };
    const from = new MemoryDevice({ sizeBytes: SIZE, ...(device === "source" ? { before } : {}) });
    from.bytes.fill(3);
    const full = Object.assign(from, { can: { ...from.can, blockStatus: false } });
    const to = new MemoryDevice({ sizeBytes: SIZE, ...(device === "target" ? { before } : {}) });
    const error = await assertRejects(() => copyDevice(options(full, to)), CopyDeviceError);
    assertEquals([error.device, error.errno], [device, "ENOSPC"]);
    // No request outlives the copy, and nothing was flushed as if it were whole.
    assertEquals(active, 0);
    assert(!to.calls.some(({ name }) => name === "flush"));
  });
}

Deno.test("an aborted copy rejects with the reason once no request is under way", async () => {
  const stop = new AbortController();
  let active = 0;
  const from = new MemoryDevice({ sizeBytes: SIZE });
  await from.write(0, new Uint8Array(SIZE).fill(3));
  const to = new MemoryDevice({
    sizeBytes: SIZE,
    before: async ({ name, offset }) => {
      if (name !== "write") return;
      active++;
      if (offset === 9 * MiB) stop.abort(new Error("cancelled here"));
      await new Promise((resolve) => setTimeout(resolve, 0));
      active--;
    },
  });
  const copied = copyDevice(options(from, to, { signal: stop.signal }));
  await assertRejects(() => copied, Error, "cancelled here");
  assertEquals(active, 0);
  assert(sum(to, "write") < SIZE);
});

Deno.test("a checkpoint that cannot be noted fails the copy", async () => {
  const [from, to] = [await source(), new MemoryDevice({ sizeBytes: SIZE })];
  const onCheckpoint = () => Promise.reject(new Error("the session is over"));
  const copied = copyDevice(options(from, to, { onCheckpoint }));
  await assertRejects(() => copied, Error, "the session is over");
});
