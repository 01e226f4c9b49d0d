import { assertEquals, assertRejects } from "@std/assert";
import { writeAll } from "../../../src/io/mod.ts";
import { receivedEverything } from "../../../src/migrate/postcopy/everything_received.ts";
import { StreamError } from "../../../src/migrate/postcopy/resumed_stream.ts";
import { concat, readAll } from "../../support/bytes.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { askBitmap, command, END, WHOLE } from "./source_stream.ts";

const NAMES = ["pc.ram", "/rom@etc/acpi/tables"];

/** What a destination answers to a stream whose source then hangs up. */
async function answersTo(
  stream: Uint8Array,
  blocks: Record<string, number>,
  pageBytes = 4096,
): Promise<Uint8Array> {
  const [ours, source] = memoryPipe({ capacity: 1 << 24 });
  await writeAll(source, stream);
  await source.closeWrite();
  await receivedEverything(ours, { blocks: new Map(Object.entries(blocks)), pageBytes });
  ours.close();
  return await readAll(source);
}

/** A message on the return path. */
function message(type: number, payload: readonly number[]): Uint8Array {
  return Uint8Array.from([0, type, payload.length >> 8, payload.length & 0xff, ...payload]);
}

/** The answer to a question for a bitmap, of so many bytes. */
function bitmap(name: string, bytes: number): Uint8Array {
  const text = new TextEncoder().encode(name);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(bytes));
  return concat([
    message(5, [text.length, ...text]),
    length,
    new Uint8Array(bytes).fill(0xff),
    Uint8Array.of(0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef),
  ]);
}

const SHUT = message(1, [0, 0, 0, 0]);

Deno.test("a destination with every page answers each question in order, and the end", async () => {
  const blocks = { [NAMES[0]!]: 256 << 20, [NAMES[1]!]: 128 << 10, "vga.rom": 65536 };
  const expected = concat([
    message(2, [0, 0, 0, 9]),
    bitmap(NAMES[0]!, 8192),
    bitmap(NAMES[1]!, 8),
    message(6, [0, 0, 0, 1]),
    SHUT,
  ]);
  assertEquals(await answersTo(WHOLE, blocks), expected);
});

Deno.test("a bitmap has a bit for each page in use, and is a whole number of 8 bytes long", async () => {
  const sizes: [usedBytes: number, pageBytes: number, bitmapBytes: number][] = [
    [4096, 4096, 8],
    [64 * 4096, 4096, 8],
    [65 * 4096, 4096, 16],
    [1024 * 65536, 65536, 128],
    // Longer than one portion.
    [(64 * 1024 * 8 + 1) * 4096, 4096, 64 * 1024 + 8],
    [2 * 64 * 1024 * 8 * 1024, 1024, 2 * 64 * 1024],
  ];
  for (const [usedBytes, pageBytes, bytes] of sizes) {
    const answer = await answersTo(concat([askBitmap("m"), END]), { m: usedBytes }, pageBytes);
    assertEquals(answer, concat([bitmap("m", bytes), SHUT]));
  }
});

Deno.test("the name of a block may have 255 bytes, and come from another alphabet", async () => {
  for (const name of ["/".repeat(255), "/objects/память", "a b"]) {
    const answer = await answersTo(concat([askBitmap(name), END]), { [name]: 4096 });
    assertEquals(answer, concat([bitmap(name, 8), SHUT]));
  }
});

Deno.test("a block that QEMU did not list, and a name of another length, are rejected", async () => {
  await assertRejects(
    () => answersTo(askBitmap("mem2"), { mem1: 4096 }),
    StreamError,
    `the RAM block "mem2", which it did not list`,
  );
  for (const payload of [[], [3, 65, 66], [1, 65, 66]]) {
    await assertRejects(
      () => answersTo(command(10, payload), { A: 4096 }),
      StreamError,
      "a RAM block with a name",
    );
  }
});

Deno.test("a command that resumes no post-copy is rejected with its number", async () => {
  for (const number of [0, 3, 4, 5, 6, 7, 8, 11, 200]) {
    await assertRejects(
      () => answersTo(command(number), {}),
      StreamError,
      `the command ${number}`,
    );
  }
});

Deno.test("a source that hangs up before the end of its stream is an error", async () => {
  for (let at = 0; at < WHOLE.length; at++) {
    await assertRejects(
      () => answersTo(WHOLE.subarray(0, at), { [NAMES[0]!]: 4096, [NAMES[1]!]: 4096 }),
      StreamError,
      "before the end",
    );
  }
});
