import { assertEquals } from "@std/assert";
import { mirrorBufferBytes } from "../../../src/migrate/disks/buffer_size.ts";

const MiB = 2 ** 20;

Deno.test("over a long round trip a single mirror gets a larger buffer than QEMU's default, each of many does not", () => {
  const of = (disks: number) => mirrorBufferBytes(50, disks);
  assertEquals([of(1), of(2), of(3)], [64 * MiB, 32 * MiB, 21 * MiB]);
  assertEquals([of(4), of(200)], [undefined, undefined]);
});

Deno.test("with a short round trip a mirror keeps QEMU's default buffer", () => {
  assertEquals([mirrorBufferBytes(0.2, 1), mirrorBufferBytes(9, 1)], [undefined, undefined]);
});
