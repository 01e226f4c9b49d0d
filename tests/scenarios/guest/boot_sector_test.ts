import { assertEquals, assertThrows } from "@std/assert";
import { assembled, bootSector } from "./boot_sector.ts";
import { LISTING } from "./listing.ts";

const ring = { start: 2048, length: 64, runId: 0x0102030405060708n };

Deno.test("a boot sector ends with the mark that a BIOS looks for", () => {
  const sector = bootSector({ ring });
  assertEquals(sector.length, 512);
  assertEquals([...sector.subarray(510)], [0x55, 0xaa]);
});

Deno.test("the options stand where the program reads them", () => {
  const sector = bootSector({ ring, disks: 2, waitUs: 70000, ramPages: 512, ramStep: 3 });
  const view = new DataView(sector.buffer);
  for (
    const [label, value] of [
      ["ring_start:", 2048],
      ["ring_length:", 64],
      ["wait_us:", 70000],
      ["ram_pages:", 512],
      ["ram_step:", 3],
      ["disks:", 2],
    ] as const
  ) {
    const line = LISTING.split("\n").find((line) => line.includes(` ${label}`));
    assertEquals(view.getUint32(parseInt(line ?? "", 16), true), value, label);
  }
});

Deno.test("a listing with a line left out is not assembled", () => {
  const lines = LISTING.trim().split("\n");
  assertThrows(() => assembled(lines.toSpliced(20, 1).join("\n")), Error, "follows");
});

Deno.test("a guest that would overwrite its own boot sector is refused", () => {
  assertThrows(() => bootSector({ ring: { ...ring, start: 0 } }), RangeError, "ring.start is 0");
});
