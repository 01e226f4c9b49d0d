import { assertEquals, assertThrows } from "@std/assert";
import { BUSY_LISTING } from "./busy_listing.ts";
import { busySector, busyState } from "./busy_sector.ts";
import { checkWriter, writerSector } from "./writer_sector.ts";
import { WRITER_LISTING } from "./writer_listing.ts";

const MiB = 1024 * 1024;

function assertFields(sector: Uint8Array, listing: string, fields: Record<string, number>): void {
  assertEquals([sector.length, ...sector.subarray(510)], [512, 0x55, 0xaa]);
  const view = new DataView(sector.buffer);
  for (const [label, value] of Object.entries(fields)) {
    const line = listing.split("\n").find((line) => line.includes(` ${label}:`));
    assertEquals(view.getUint32(parseInt(line ?? "", 16), true), value, label);
  }
}

Deno.test("the busy guest's options are where its program reads them", () => {
  assertFields(busySector({ mibPerSecond: 300, mib: 384, random: true, hz: 500 }), BUSY_LISTING, {
    ...{ rate: 76_800, hz: 500, tick_ns: 2_000_000, pages: 98_304, base: 16 * MiB, random: 1 },
  });
});

Deno.test("the busy guest's state is where its program writes it", async () => {
  const at = (label: string) =>
    0x7c00 + parseInt(BUSY_LISTING.split("\n").find((line) => line.includes(` ${label}:`))!, 16);
  const state = await busyState((address) => Promise.resolve(address));
  assertEquals(state, {
    ...{ ticks: at("ticks"), written: at("written"), laps: at("laps"), faults: at("faults") },
  });
});

Deno.test("the writing guest's options are where its program reads them", () => {
  const perTick = Math.round(20 * 32 / (1193182 / 65536) * 65536);
  const sector = writerSector({ mibPerSecond: 20, mib: 16 });
  assertFields(sector, WRITER_LISTING, { per_tick: perTick, first: 2048, blocks: 512 });
});

Deno.test("a guest that changes nothing but is asked for a rate is refused", () => {
  assertThrows(() => busySector({ mibPerSecond: 1, mib: 0 }), RangeError, "mib is 0");
  assertThrows(() => writerSector({ mibPerSecond: 0, mib: 1 }), RangeError, "mibPerSecond is 0");
});

/** A disk of 1 MiB of blocks after `written` of them. */
function disk(written: number): Uint8Array {
  const data = new Uint8Array(2 * MiB);
  const view = new DataView(data.buffer);
  for (let n = 1; n <= written; n++) {
    const at = MiB + (n - 1) % 32 * 32768;
    for (let i = 0; i < 64; i++) view.setUint32(at + i * 512, n, true);
  }
  return data;
}

Deno.test("a disk with every write of the guest passes, wherever the guest is in its round", () => {
  for (const written of [1, 31, 32, 33, 64, 70]) {
    assertEquals(checkWriter(disk(written), { mibPerSecond: 1, mib: 1 }), [], `${written}`);
  }
});

Deno.test("a block that holds an older write is found", () => {
  const data = disk(70);
  new DataView(data.buffer).setUint32(MiB + 3 * 32768, 4, true);
  assertEquals(checkWriter(data, { mibPerSecond: 1, mib: 1 }), [
    "Block 3 holds 4 to 68, expected 68",
  ]);
});
