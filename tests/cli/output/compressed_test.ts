import { assertEquals } from "@std/assert";
import { compressionOf } from "../../../src/migrate/mod.ts";
import { resultEvent } from "../../../src/cli/output/result.ts";
import { compressed } from "../../../src/cli/output/words.ts";

Deno.test("an event has a compression only where something was compressed", () => {
  assertEquals(compressionOf(450, 1000), { compression: 0.45 });
  assertEquals(compressionOf(1000, 1000), {});
  assertEquals(compressionOf(999, 1000), {}, "as good as nothing");
  assertEquals(compressed(compressionOf(450, 1000)), " (compressed to 45 %)");
  assertEquals(compressed(compressionOf(1000, 1000)), "");
});

Deno.test("the result counts the bytes that crossed, and how well they were compressed", () => {
  const { bytes, compression } = resultEvent({ startedAt: 0, bytes: 450, carried: 1000 }) as {
    bytes: number;
    compression?: number;
  };
  assertEquals([bytes, compression], [450, 0.45]);
  assertEquals("compression" in resultEvent({ startedAt: 0, bytes: 450 }), false);
});
