import { assertEquals, assertMatch } from "@std/assert";
import { encodeRingSector, type Ring, SECTOR_BYTES } from "./ring.ts";
import { checkRing } from "./verify_ring.ts";

const ring: Ring = { start: 100, length: 8, runId: 77n };

function written(counters: number, at: Ring = ring): Uint8Array {
  const sectors = new Uint8Array(at.length * SECTOR_BYTES).fill(0xa5);
  for (let counter = 1; counter <= counters; counter++) put(sectors, counter);
  return sectors;
}

function put(sectors: Uint8Array, counter: number, change = {}): void {
  const lap = Math.floor((counter - 1) / ring.length);
  const sector = { runId: ring.runId, counter, lap, disk: 0, ramFaults: 0, ...change };
  sectors.set(encodeRingSector(sector), ((counter - 1) % ring.length) * SECTOR_BYTES);
}

Deno.test("a ring that was written in order has no faults, wherever the guest was stopped", () => {
  for (let counters = 0; counters <= 3 * ring.length; counters++) {
    assertEquals(checkRing(written(counters), ring, 0), {
      highest: counters,
      ramFaults: 0,
      faults: [],
    });
  }
});

Deno.test("one lost write is a fault, whichever of the last lap it was", () => {
  for (let counters = ring.length + 2; counters <= 2 * ring.length; counters++) {
    for (let lost = counters - ring.length + 1; lost < counters; lost++) {
      const sectors = written(counters);
      if (lost > ring.length) put(sectors, lost - ring.length);
      else sectors.fill(0xa5, (lost - 1) * SECTOR_BYTES, lost * SECTOR_BYTES);
      const { faults } = checkRing(sectors, ring, 0);
      assertEquals(faults.length, 1, `${lost} of ${counters}`);
      assertMatch(faults[0] ?? "", new RegExp(`expected (counter )?${lost}\\b`));
    }
  }
});

Deno.test("a sector of which only a part was written is torn", () => {
  const sectors = written(12);
  sectors.fill(0, SECTOR_BYTES - 4, SECTOR_BYTES);
  assertMatch(checkRing(sectors, ring, 0).faults[0] ?? "", /sector 100 .*torn/);
});

Deno.test("another guest's sectors do not count", () => {
  const sectors = written(5);
  put(sectors, 3, { runId: 78n });
  assertMatch(checkRing(sectors, ring, 0).faults[0] ?? "", /no sector of this guest.* counter 3/);
});

Deno.test("the first disk's ring on the second disk is a fault", () => {
  assertMatch(checkRing(written(1), ring, 1).faults[0] ?? "", /got lap 0, disk 0/);
});

Deno.test("RAM that the guest found changed is a fault", () => {
  const sectors = written(3);
  put(sectors, 4, { ramFaults: 2 });
  assertMatch(checkRing(sectors, ring, 0).faults[0] ?? "", /2 pages of RAM/);
});

Deno.test("many faults are counted, not all spelled out", () => {
  const wide: Ring = { ...ring, length: 100 };
  const sectors = new Uint8Array(100 * SECTOR_BYTES);
  sectors.set(
    encodeRingSector({ runId: 77n, counter: 100, lap: 0, disk: 0, ramFaults: 0 }),
    99 * SECTOR_BYTES,
  );
  assertMatch(checkRing(sectors, wide, 0).faults.at(-1) ?? "", /and 89 faults more/);
});
