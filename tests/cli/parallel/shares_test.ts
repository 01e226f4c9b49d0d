import { assertEquals } from "@std/assert";
import { fairShares, wanted } from "../../../src/cli/parallel/shares.ts";

const all = (limit: number, ...wants: (number | null)[]) =>
  fairShares(wants.map((each) => ({ hostBandwidth: limit, wants: each })));

Deno.test("the bandwidth of a host is divided equally", () => {
  assertEquals(all(900, null), [900]);
  assertEquals(all(900, null, null, null), [300, 300, 300]);
});

Deno.test("the lowest bandwidth that was given for the host counts", () => {
  const sharers = [900, 600].map((hostBandwidth) => ({ hostBandwidth, wants: null }));
  assertEquals(fairShares(sharers), [300, 300]);
});

Deno.test("what one migration cannot use goes to the others", () => {
  assertEquals(all(900, 100, null, null), [100, 400, 400]);
  assertEquals(all(900, 100, 200, null), [100, 200, 600]);
  // More than an equal share is nobody's to want.
  assertEquals(all(900, 500, null, null), [300, 300, 300]);
});

Deno.test("bandwidth that nobody uses is ready for those who can use it in a moment", () => {
  assertEquals(all(900, 100, 200), [400, 500]);
});

Deno.test("a migration that uses its share wants as much as it gets", () => {
  assertEquals(wanted(300, 300, 300), null);
  assertEquals(wanted(250, 300, 300), null);
});

Deno.test("a migration that uses a part of its share wants that and a reserve, by powers of two", () => {
  assertEquals(wanted(100, 300, 300), 256);
  assertEquals(wanted(110, 300, 300), 256);
});

Deno.test("an idle migration keeps a tenth of its share", () => {
  assertEquals(wanted(0, 10_000, 10_000), 1024);
});
