import { assertEquals } from "@std/assert";
import { judgeDelta } from "../../../src/domain/check/source_rules.ts";

const sides = (tls: boolean, there?: { hashes: boolean | null }) =>
  judgeDelta({ tls }, there).problems.map(({ side, code }) => `${side} ${code}`);

Deno.test("--delta is refused where the destination's vmferry is older", () => {
  assertEquals(sides(false, { hashes: null }), ["destination unknown-procedure"]);
  assertEquals(sides(false, { hashes: true }), []);
});

Deno.test("--delta is refused where QEMU encrypts the disks itself", () => {
  assertEquals(sides(true, { hashes: true }), ["source option-refused"]);
});

Deno.test("a destination that does not answer is no problem of --delta", () => {
  assertEquals(sides(false), []);
});
