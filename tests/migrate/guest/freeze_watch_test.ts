import { assert, assertEquals } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import { FreezeWatch, type Silence } from "../../../src/migrate/guest/freeze_watch.ts";
import { ManualClock } from "../../support/manual_clock.ts";

type Session = { -readonly [M in keyof Silence]: Silence[M] };

/** A QEMU that answers unless it `stands`, and the reports of the watch. */
function watched(session: Session) {
  const clock = new ManualClock();
  const qemu = { stands: false, asked: 0, free: () => {} };
  const found: number[] = [];
  const watch = new FreezeWatch({
    qmp: {
      execute: () => {
        qemu.asked++;
        if (!qemu.stands) return Promise.resolve({}) as never;
        return new Promise<never>((resolve) => qemu.free = resolve as () => void);
      },
    },
    clock,
    log: silentLogger,
    session: () => session,
    onFrozen: (ms) => found.push(ms),
  });
  watch.start();
  return { clock, qemu, found, watch };
}

Deno.test("a QEMU that a silent connection blocks is detected within 5 s", async () => {
  for (const state of ["up", "down"] as const) {
    const { clock, qemu, found, watch } = watched({ state, progress: 7, inFlight: 1000 });
    qemu.stands = true;
    await clock.advance(5_000);
    assert(found.length > 0, state);
    const before = found.length;
    qemu.stands = false;
    qemu.free();
    await clock.advance(20_000);
    assertEquals([found.length, watch.silent], [before, true], "free again, it is left alone");
    watch.stop();
    assertEquals(clock.armed, 0);
  }
});

Deno.test("a QEMU that blocks while the connection is already silent is detected within 3 s", async () => {
  const { clock, qemu, found, watch } = watched({ state: "down", progress: 7, inFlight: 0 });
  await clock.advance(20_000);
  qemu.stands = true;
  await clock.advance(3_000);
  assert(found.length > 0);
  watch.stop();
});

Deno.test("QEMU is not queried while bytes cross, nor while no byte waits for an acknowledgement", async () => {
  const session: Session = { state: "up", progress: 0, inFlight: 1000 };
  const { clock, qemu, found, watch } = watched(session);
  qemu.stands = true;
  for (let i = 0; i < 100; i++) {
    session.progress++;
    await clock.advance(1_500);
  }
  session.inFlight = 0;
  await clock.advance(60_000);
  assertEquals([qemu.asked, found.length, watch.silent], [0, 0, false]);
  watch.stop();
});

Deno.test("a lane that is silent is noticed while the others carry bytes", async () => {
  const lanes = [1, 2, 3].map((): Session => ({ state: "up", progress: 0, inFlight: 1000 }));
  const session: Session = { state: "up", progress: 0, inFlight: 3000, lanes };
  const { clock, qemu, found, watch } = watched(session);
  qemu.stands = true;
  for (let i = 0; i < 20; i++) {
    session.progress += 2;
    lanes[0]!.progress++;
    lanes[2]!.progress++;
    await clock.advance(500);
  }
  assert(watch.silent && found.length > 0);
  watch.stop();
});
