import { assertEquals } from "@std/assert";
import { MirrorRetries } from "../../src/migrate/mirror_retry.ts";

Deno.test("a target whose connection went gets some tries, one that is away as many as it takes", () => {
  const retries = new MirrorRetries();
  let now = 0;
  const next = (lost: number, away = false) => {
    now += 500;
    return retries.next("job", { lost, away }, now);
  };
  assertEquals(next(0), "hopeless", "nothing went: it is the medium");
  assertEquals(next(1), "again");
  assertEquals(retries.next("job", { lost: 1, away: false }, now + 499), "later");
  assertEquals([next(1), next(1), next(1)], ["again", "again", "again"]);
  assertEquals([next(2), next(2), next(2), next(2)], ["again", "again", "again", "again"]);
  assertEquals(next(2), "hopeless");
  for (let i = 0; i < 100; i++) assertEquals(next(2, true), "again");
  assertEquals(retries.next("other", { lost: 2, away: false }, now), "again", "each by itself");
});
