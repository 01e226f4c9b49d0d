import { assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { type BytePipe, systemClock, writeAll } from "../../src/io/mod.ts";
import { SessionError } from "../../src/tunnel/errors.ts";
import { concat, pattern, randomOf, readAll } from "../support/bytes.ts";
import type { Cut } from "../support/cutting.ts";
import { type World, world } from "./resume_world.ts";

/** A small conversation that uses every kind of sequenced frame; returns what arrived. */
async function converse({ connecting, listening, server }: World): Promise<string[]> {
  const a = connecting.open();
  const b = listening.accept(a.id);
  const c = listening.open();
  const d = connecting.accept(c.id);
  const given = connecting.open();
  const up = listening.accept(given.id);
  const arrived = Promise.all([
    readAll(b),
    readAll(a),
    readAll(d),
    up.read(new Uint8Array(9)).catch((e) => e),
  ]);
  await writeAll(a, pattern(150, 1));
  await a.closeWrite();
  await writeAll(b, pattern(40, 2));
  await writeAll(b, pattern(50, 3));
  await b.closeWrite();
  await c.closeWrite();
  await d.closeWrite();
  given.reset("cancelled", "not wanted");
  const [forth, back, empty, reset] = await arrived;
  const ends = await Promise.all([connecting.close(600_000), listening.ended]);
  await server.close();
  return [forth.join(), back.join(), empty.join(), String(reset), String(ends)];
}

const EXPECTED = [
  pattern(150, 1).join(),
  concat([pattern(40, 2), pattern(50, 3)]).join(),
  "",
  "StreamResetError: not wanted",
  ",",
];

Deno.test("a session cut after any byte, in either direction, delivers the same streams", async () => {
  const whole = await world();
  assertEquals(await converse(whole), EXPECTED);
  for (const by of ["connecting", "listening"] as const) {
    for (let after = 124; after < 900; after++) {
      // The connection that comes next is cut as well, somewhere in its handshake or soon after.
      const cuts: Cut[] = [{ by, after }, {
        by: after % 2 ? by : "connecting",
        after: after * 7 % 260,
      }];
      let cut: World;
      try {
        cut = await world((n) => cuts[n]);
      } catch (error) {
        assertInstanceOf(error, SessionError);
        assertEquals(after < 124 + 44, true, `${by} ${after}: ${error.message}`);
        continue;
      }
      assertEquals(await converse(cut), EXPECTED, `cut by ${by} after ${after} bytes`);
      if (cut.connections() === 1) break;
    }
  }
});

Deno.test("fifty cuts in one transfer lose, repeat and reorder nothing", () => fiftyCuts({}));

Deno.test("fifty cuts lose nothing where several reads of a TLS record are under way", () =>
  fiftyCuts({ recordBytes: 700 }));

async function fiftyCuts(options: { recordBytes?: number }): Promise<void> {
  const seed = 4711;
  const random = randomOf(seed);
  const cut = await world(
    (n) =>
      n < 50
        ? {
          by: random() < 0.5 ? "connecting" : "listening",
          after: 300 + Math.floor(random() * 60_000),
        }
        : undefined,
    { inFlight: 100_000, capacity: 8192, ...options },
  );
  const a = cut.connecting.open();
  const b = cut.listening.accept(a.id);
  const forth = pattern(2_500_000, 5);
  const back = pattern(2_200_000, 6);
  writeAll(a, forth).then(() => a.closeWrite());
  writeAll(b, back).then(() => b.closeWrite());
  const [atB, atA] = await Promise.all([readAll(b), readAll(a)]);
  assertEquals(atB.length, forth.length, `seed ${seed}`);
  assertEquals(atB.every((x, i) => x === forth[i]), true, `seed ${seed}`);
  assertEquals(
    atA.every((x, i) => x === back[i]) && atA.length === back.length,
    true,
    `seed ${seed}`,
  );
  assertEquals(cut.connections() > 50, true, `${cut.connections()} connections`);
  assertEquals(await cut.connecting.close(600_000), undefined);
  await cut.server.close();
}

Deno.test("a replay sends the same bytes although frame buffers are reused", async () => {
  let deaf: Promise<void> | undefined;
  const first = Promise.withResolvers<BytePipe>();
  const cut = await world(() => undefined, {
    capacity: 4 << 20,
    // On the hurried clock every connection seems slow, and gets small frames.
    clock: systemClock,
    wrap(pipe) {
      first.resolve(pipe);
      return {
        async read(into) {
          await deaf;
          return await pipe.read(into);
        },
        write: (from) => pipe.write(from),
        closeWrite: () => pipe.closeWrite(),
        close: () => pipe.close(),
      };
    },
  });
  const a = cut.connecting.open();
  const b = cut.listening.accept(a.id);
  // No two frames are the same.
  const sent = new Uint8Array(Uint32Array.from({ length: 4 << 20 }, (_, i) => i).buffer);
  const got = readAll(b);
  const half = 8 << 20;
  await writeAll(a, sent.subarray(0, half));
  // From here on nothing is read: frame after frame goes out and is lost with the connection.
  const hold = Promise.withResolvers<void>();
  deaf = hold.promise;
  const rest = writeAll(a, sent.subarray(half)).then(() => a.closeWrite());
  for (let [still, before] = [0, -1]; still < 20; await new Promise((r) => setTimeout(r, 1))) {
    still = cut.connecting.inFlight === before ? still + 1 : 0;
    before = cut.connecting.inFlight;
  }
  assertEquals(cut.connecting.inFlight > 1 << 20, true, `${cut.connecting.inFlight} in flight`);
  (await first.promise).close();
  hold.resolve();
  deaf = undefined;
  await rest;
  const all = await got;
  assertEquals([all.length, all.findIndex((x, i) => x !== sent[i])], [sent.length, -1]);
  assertEquals(cut.connections(), 2);
  await b.closeWrite();
  assertEquals(await cut.connecting.close(), undefined);
  await cut.server.close();
});

Deno.test("when the grace is over, both ends and every stream end with the cause", async () => {
  const cut = await world(
    (n) => n === 0 ? { by: "connecting", after: 1000 } : { by: "connecting", after: 0 },
    {
      graceMs: 3000,
    },
  );
  const a = cut.connecting.open();
  const b = cut.listening.accept(a.id);
  const reading = assertRejects(() => readAll(b), SessionError, "did not come back within 3 s");
  const error = await assertRejects(async () => {
    while (true) await a.write(new Uint8Array(100));
  }, SessionError);
  assertStringIncludes(error.message, "cut by the test");
  await reading;
  assertEquals((await cut.listening.ended)?.code, "lost");
  await cut.server.close();
});

Deno.test("without a grace a lost connection ends the session at once", async () => {
  const cut = await world((n) => n === 0 ? { by: "listening", after: 500 } : undefined, {
    graceMs: 0,
  });
  const a = cut.connecting.open();
  const b = cut.listening.accept(a.id);
  await assertRejects(async () => {
    while (true) await b.write(new Uint8Array(100));
  }, SessionError);
  assertEquals((await cut.connecting.ended)?.code, "lost");
  assertEquals(cut.connections(), 1);
  await cut.server.close();
});
