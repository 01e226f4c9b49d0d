import { assert, assertEquals, assertRejects } from "@std/assert";
import { UnexpectedEndError, writeAll } from "../../src/io/mod.ts";
import { Budget } from "../../src/nbd/budget.ts";
import { Coverage } from "../../src/nbd/client/coverage.ts";
import { Input } from "../../src/nbd/input.ts";
import { Output } from "../../src/nbd/output.ts";
import { BufferPool } from "../../src/nbd/pool.ts";
import { concat, randomOf } from "../support/bytes.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

Deno.test("coverage accepts each byte once and knows when all are there", () => {
  const random = randomOf(4);
  const below = (limit: number) => Math.floor(random() * limit);
  for (let round = 0; round < 300; round++) {
    const length = 1 + below(60);
    const seen = new Uint8Array(length);
    const coverage = new Coverage(length);
    for (let part = 0; part < 60; part++) {
      const [begin, bytes] = [below(length + 2) - 1, below(9)];
      const range = seen.subarray(Math.max(0, begin), Math.max(0, begin + bytes));
      const isFree = begin >= 0 && bytes > 0 && begin + bytes <= length &&
        range.every((byte) => byte === 0);
      assertEquals(coverage.add(begin, bytes), isFree, `round ${round}: ${begin}, ${bytes}`);
      // A refused part ends the connection; the coverage is not asked again.
      if (!isFree) break;
      range.fill(1);
      assertEquals(coverage.isWhole, seen.every((byte) => byte === 1));
    }
  }
});

Deno.test("coverage in reverse order, one byte each, is whole in the end", () => {
  const coverage = new Coverage(5000);
  for (let at = 4999; at >= 0; at--) assert(coverage.add(at, 1));
  assertEquals(coverage.isWhole, true);
  assertEquals(new Coverage(0).isWhole, true);
});

Deno.test("a reply with too many gaps is refused", () => {
  const coverage = new Coverage(100_000);
  let accepted = 0;
  while (accepted < 50_000 && coverage.add(2 * accepted, 1)) accepted++;
  assertEquals(accepted, 4096);
});

Deno.test("a large request of a budget is not overtaken by small ones", async () => {
  const budget = new Budget(10);
  assertEquals(budget.acquire(6), undefined);
  const order: string[] = [];
  const large = budget.acquire(8)!.then(() => order.push("large"));
  const small = budget.acquire(1)!.then(() => order.push("small"));
  budget.release(6);
  await Promise.all([large, small]);
  assertEquals([order, budget.taken], [["large", "small"], 9]);
});

Deno.test("an amount over a budget takes all of it, and drained waits for everything", async () => {
  const budget = new Budget(10);
  assertEquals(budget.acquire(99), undefined);
  const second = budget.acquire(1)!;
  let isDrained = false;
  const drained = budget.drained().then(() => isDrained = true);
  budget.release(99);
  await second;
  assertEquals([isDrained, budget.taken], [false, 1]);
  budget.release(1);
  await drained;
});

Deno.test("a pool gives a buffer again and keeps no more than its bound", () => {
  const pool = new BufferPool(65536);
  const [first, second] = [pool.take(60_000), pool.take(60_000)];
  assertEquals([first.length, second.length], [60_000, 60_000]);
  pool.release(first);
  pool.release(second);
  assert(pool.take(50_000).buffer === first.buffer);
  assert(pool.take(50_000).buffer !== second.buffer, "it kept 128 KiB");
});

Deno.test("input takes, fills and skips the stream's bytes in order", async () => {
  const random = randomOf(9);
  const below = (limit: number) => Math.floor(random() * limit);
  const bytes = Uint8Array.from({ length: 3 << 20 }, () => below(256));
  for (const most of [60, 5000, 1 << 20]) {
    const [ours, theirs] = memoryPipe({ capacity: 1 << 20, chunk: () => 1 + below(most) });
    const stream = bytes.subarray(0, most < 100 ? 100_000 : bytes.length);
    const writing = writeAll(theirs, stream).then(() => theirs.closeWrite());
    const input = new Input(ours);
    let at = 0;
    while (at < stream.length) {
      const length = Math.min(stream.length - at, 1 + below(below(2) === 0 ? 40 : 65536));
      const expected = stream.subarray(at, at + length);
      switch (below(3)) {
        case 0:
          assertEquals((await input.take(length))?.slice(), expected.slice());
          break;
        case 1: {
          const into = new Uint8Array(Math.min(stream.length - at, 3 * length));
          await input.fill(into);
          assertEquals(into, stream.slice(at, at + into.length));
          at += into.length - length;
          break;
        }
        default:
          await input.skip(length);
      }
      at += length;
    }
    await writing;
    assertEquals(await input.take(1), undefined);
  }
});

Deno.test("input says that a stream ended inside what was asked", async () => {
  const ended = async () => {
    const [ours, theirs] = memoryPipe();
    await writeAll(theirs, new Uint8Array(10));
    await theirs.closeWrite();
    return new Input(ours);
  };
  for (const length of [11, 200_000]) {
    const input = await ended();
    await assertRejects(() => input.fill(new Uint8Array(length)), UnexpectedEndError);
    const other = await ended();
    await assertRejects(() => other.skip(length), UnexpectedEndError);
  }
  const input = await ended();
  await assertRejects(() => input.take(11), UnexpectedEndError);
});

Deno.test("output writes messages whole and in order, together where they are small", async () => {
  const [ours, theirs] = memoryPipe({ capacity: 8 << 20 });
  let writes = 0;
  const counting = {
    ...{ read: () => Promise.resolve(null), closeWrite: () => Promise.resolve(), close() {} },
    write: (bytes: Uint8Array) => (writes++, ours.write(bytes)),
  };
  const output = new Output(counting);
  const sizes = [[28], [28, 4096], [28, 65536], [16], [28, 1 << 20], [20, 8, 100_000, 20, 12]];
  const messages = sizes.map((parts, i) =>
    parts.map((size, j) => new Uint8Array(size).fill(i * 8 + j))
  );
  await Promise.all(messages.map((parts) => output.send(...parts)));
  const expected = concat(messages.flat());
  const heard = new Uint8Array(expected.length);
  for (let got = 0; got < heard.length;) got += (await theirs.read(heard.subarray(got)))!;
  assertEquals(heard, expected);
  assert(writes <= 7, `${writes} writes`);
});

Deno.test("output fails what waits and what comes later, with the pipe's error", async () => {
  const [ours, theirs] = memoryPipe({ capacity: 100 });
  const output = new Output(ours);
  const sends = [output.send(new Uint8Array(50)), output.send(new Uint8Array(500))];
  const failed = Promise.all(sends.map((send) => assertRejects(() => send, Error, "in memory")));
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  theirs.close();
  await failed;
  await assertRejects(() => output.send(new Uint8Array(1)), Error, "in memory");
});
