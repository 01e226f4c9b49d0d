import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { writeAll } from "../../../src/io/mod.ts";
import { SessionError } from "../../../src/tunnel/errors.ts";
import { concat, pattern, randomOf, readAll } from "../../support/bytes.ts";
import type { Cut } from "../../support/cutting.ts";
import { type World, world } from "../resume_world.ts";
import { decompressor, TestCompressor } from "./compressed.ts";

const decompress = await decompressor();
const options = {
  decompress,
  compression: { mode: "on" as const, start: () => new TestCompressor() },
};
/** Shrinks to a few dozen bytes. */
const TEXT = new TextEncoder().encode("a line that shrinks\n".repeat(250));

/** Compressed frames, small ones between them, both ways; returns what arrived. */
async function converse({ connecting, listening, server }: World): Promise<unknown[]> {
  const a = connecting.open();
  const b = listening.accept(a.id);
  const arrived = Promise.all([readAll(b), readAll(a)]);
  await writeAll(a, TEXT);
  await writeAll(a, pattern(20));
  await writeAll(b, TEXT.subarray(5));
  await a.closeWrite();
  await b.closeWrite();
  const [forth, back] = await arrived;
  const ends = await Promise.all([connecting.close(600_000), listening.ended]);
  await server.close();
  return [forth.join(), back.join(), String(ends)];
}

const EXPECTED = [concat([TEXT, pattern(20)]).join(), TEXT.subarray(5).join(), ","];

Deno.test("a session with compressed frames survives a cut after any byte, in either direction", async () => {
  const whole = await world(undefined, options);
  assertEquals(await converse(whole), EXPECTED);
  const { raw, wire } = whole.connecting.data;
  assert(wire < raw / 10, `${wire} of ${raw} bytes crossed`);
  for (const by of ["connecting", "listening"] as const) {
    let cuts = 0;
    for (let after = 124; after < 900; after++) {
      const plan: Cut[] = [{ by, after }, { by, after: after * 7 % 260 }];
      let cut: World;
      try {
        cut = await world((n) => plan[n], options);
      } catch (error) {
        assertInstanceOf(error, SessionError);
        assert(after < 124 + 44, `${by} ${after}: ${error.message}`);
        continue;
      }
      assertEquals(await converse(cut), EXPECTED, `cut by ${by} after ${after} bytes`);
      if (cut.connections() === 1) break;
      cuts++;
    }
    assert(cuts > 100, `${cuts} cuts by the ${by} end`);
  }
});

Deno.test("fifty cuts in a transfer with compressed frames lose, repeat and reorder nothing", async () => {
  const random = randomOf(4712);
  const cut = await world(
    (n) => n < 50 ? { by: "connecting", after: 300 + Math.floor(random() * 30_000) } : undefined,
    { inFlight: 100_000, capacity: 8192, ...options },
  );
  const a = cut.connecting.open();
  const b = cut.listening.accept(a.id);
  // Half of it shrinks.
  const parts = Array.from(
    { length: 40 },
    (_, i) =>
      i % 2 ? pattern(60_000, i) : new Uint8Array(60_000).map((_, at) => at >> 5 & 0xff ^ i),
  );
  const sending = writeAll(a, concat(parts)).then(() => a.closeWrite());
  const got = await readAll(b);
  const sent = concat(parts);
  assertEquals([got.length, got.findIndex((x, i) => x !== sent[i])], [sent.length, -1]);
  await Promise.all([sending, b.closeWrite()]);
  assert(cut.connections() > 20, `${cut.connections()} connections`);
  assertEquals(await cut.connecting.close(600_000), undefined);
  const { raw, wire } = cut.connecting.data;
  assert(wire < 0.7 * raw, `${wire} of ${raw} bytes crossed`);
  await cut.server.close();
});
