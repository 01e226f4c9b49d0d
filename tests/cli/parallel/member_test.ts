import { assertEquals } from "@std/assert";
import {
  fileName,
  formatFacts,
  newId,
  parseFacts,
  parseName,
} from "../../../src/cli/parallel/member.ts";

Deno.test("a member's name has its state, and ids are ordered by time", () => {
  const [first, second] = [newId(999), newId(1000)];
  assertEquals(first < second, true);
  for (const state of ["waiting", "running"] as const) {
    assertEquals(parseName(fileName({ state, id: first })), { state, id: first });
  }
  for (const name of ["", "new-000000000000001-00000000", "running-1-x", "waiting"]) {
    assertEquals(parseName(name), undefined, name);
  }
});

Deno.test("an id is later than the last one, whatever the clock says", () => {
  for (const now of [1000, 999, 5]) {
    const last = newId(1000);
    const next = newId(now, last);
    assertEquals(next > last, true, `${next} at ${now}`);
    assertEquals(parseName(`waiting-${next}`), { state: "waiting", id: next });
  }
  const state = "waiting" as const;
  const most = newId(999, "999999999999999-00000000");
  assertEquals(parseName(fileName({ state, id: most })), { state, id: most });
  assertEquals(newId(2000, newId(1000)).slice(0, 15), "000000000002000");
});

Deno.test("a member's facts are read as they were written, in a text of one length", () => {
  const facts = { pid: 7, what: 'guest "vm1"', maxParallel: 2, hostBandwidth: 9, wants: null };
  assertEquals(parseFacts(formatFacts(facts)), facts);
  const long = { ...facts, what: "x".repeat(5000), wants: 12345 };
  assertEquals(formatFacts(long).length, formatFacts(facts).length);
  assertEquals(parseFacts(formatFacts(long)).what.length, 200);
});

Deno.test("facts that cannot be read are those of a member that never waits and takes no share", () => {
  const none = { pid: 0, what: "a migration", maxParallel: null, hostBandwidth: null, wants: null };
  for (const text of ["", "{", "null", "[]", '{"pid":-1,"maxParallel":"2","wants":0.5}']) {
    assertEquals(parseFacts(text), none, text);
  }
});
