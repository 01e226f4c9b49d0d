import { assertEquals, assertStrictEquals } from "@std/assert";
import {
  type FrameBuffer,
  FrameBufferPool,
  LARGEST_ROOM,
  SMALLEST_ROOM,
} from "../../../src/tunnel/connection/buffers.ts";
import * as limits from "../../../src/tunnel/limits.ts";
import { StreamSender } from "../../../src/tunnel/stream/sender.ts";

const KiB = 1024;

Deno.test("a frame buffer is less than twice as large as its payload, from 16 to 256 KiB", () => {
  const pool = new FrameBufferPool();
  const rooms = [1, SMALLEST_ROOM, 16 * KiB + 1, 100 * KiB, LARGEST_ROOM]
    .map((length) => pool.take(length).room / KiB);
  assertEquals(rooms, [16, 16, 32, 128, 256]);
});

Deno.test("a released frame buffer is used again, for payloads of its size only", () => {
  const pool = new FrameBufferPool();
  const buffer = pool.take(100 * KiB);
  buffer.release();
  assertEquals(pool.take(20 * KiB) === buffer, false);
  assertStrictEquals(pool.take(80 * KiB), buffer);
  assertEquals(pool.take(80 * KiB) === buffer, false);
});

Deno.test("free frame buffers of all sizes together have 64 MiB at most", () => {
  const pool = new FrameBufferPool();
  const takeAll = (length: number) =>
    Array.from({ length: limits.IN_FLIGHT / length }, () => pool.take(length));
  const buffers = [...takeAll(LARGEST_ROOM), ...takeAll(64 * KiB)];
  for (const buffer of buffers) buffer.release();
  // The first ones have filled it; the smaller ones were dropped.
  assertStrictEquals(pool.take(LARGEST_ROOM), buffers[limits.IN_FLIGHT / LARGEST_ROOM - 1]);
  assertEquals(buffers.includes(pool.take(64 * KiB)), false);
});

Deno.test("a short frame of a bulk stream moves to a smaller buffer and leaves the large one", () => {
  const pool = new FrameBufferPool();
  const taken: FrameBuffer[] = [];
  const sender = new StreamSender(
    1,
    {
      maxData: limits.MAX_DATA,
      takeFrameBuffer(length) {
        const buffer = pool.take(length);
        taken.push(buffer);
        return buffer;
      },
    },
    limits.STREAM_WINDOW,
    () => {},
    () => {},
  );
  // A full small frame shows that the stream is one of bulk.
  assertEquals(sender.tryReserve()!.length, SMALLEST_ROOM);
  sender.commit(SMALLEST_ROOM);
  const room = sender.tryReserve()!;
  room.set([1, 2, 3]);
  sender.commit(40 * KiB);
  assertEquals(taken.map((buffer) => buffer.room / KiB), [16, 256, 64]);
  sender.takeFrame();
  const short = sender.takeFrame()!;
  assertEquals([...short.bytes.subarray(12, 15), short.rawLength], [1, 2, 3, 40 * KiB]);
  assertStrictEquals(sender.tryReserve()!.buffer, room.buffer);
  short.release();
  assertStrictEquals(pool.take(40 * KiB), taken[2]);
});
