import { assertEquals } from "@std/assert";
import { MirrorRetries } from "../../../src/migrate/disks/mirror_retry.ts";

Deno.test("a target that lost its connection gets time to reconnect, then a few tries", () => {
  const retries = new MirrorRetries(2);
  let now = 0;
  const next = (lost: number, open = 2, away = false) => {
    now += 500;
    return retries.next("job", { lost, open, away }, now);
  };
  const tries = (n: number, ...args: Parameters<typeof next>) =>
    new Set(Array.from({ length: n }, () => next(...args)));
  assertEquals(next(0), "hopeless", "nothing went: it is the medium");
  assertEquals(next(1), "again");
  assertEquals(retries.next("job", { lost: 1, open: 2, away: false }, now + 499), "later");
  assertEquals(tries(10, 1), new Set(["again"]));
  assertEquals(next(1), "hopeless");
  assertEquals(next(2), "again", "another one went");
  assertEquals(tries(119, 2, 1), new Set(["again"]), "QEMU takes its time to connect");
  assertEquals(tries(10, 2), new Set(["again"]));
  assertEquals(next(2, 1), "hopeless", "more than a minute after it went");
  assertEquals(tries(500, 2, 1, true), new Set(["again"]), "away, as long as it takes");
});
