import { assertEquals, assertThrows } from "@std/assert";
import { MEMORY_LISTING } from "./memory_listing.ts";
import { memorySector, memoryStates } from "./memory_sector.ts";

Deno.test("the RAM guest's options are where its program reads them", () => {
  const sector = memorySector({ cpus: 2, pages: 128, spins: 1000 });
  assertEquals([sector.length, ...sector.subarray(510)], [512, 0x55, 0xaa]);
  const view = new DataView(sector.buffer);
  for (const [label, value] of [["cpus:", 2], ["pages:", 128], ["spins:", 1000]] as const) {
    const line = MEMORY_LISTING.split("\n").find((line) => line.includes(` ${label}`));
    assertEquals(view.getUint32(parseInt(line ?? "", 16), true), value, label);
  }
});

Deno.test("a memory guest without vCPUs, or with more than there is room for, is refused", () => {
  for (const cpus of [0, 9, 1.5]) {
    assertThrows(() => memorySector({ cpus, pages: 1, spins: 0 }), RangeError, `cpus is ${cpus}`);
  }
});

Deno.test("each vCPU's state is read from its own page", async () => {
  const peek = (address: number) => Promise.resolve(address);
  assertEquals((await memoryStates(peek, 2))[1], {
    laps: 0x11000,
    faults: 0x11004,
    last: { address: 0x11008, got: 0x1100c, expected: 0x11010 },
  });
});
