import { assertEquals } from "@std/assert";
import type { DestinationState, SourceState } from "../../../src/migrate/handover/states.ts";
import { destinationVerdict, sourceVerdict } from "../../../src/migrate/handover/verdict.ts";

const SOURCES: readonly SourceState[] = [
  ...["prepare", "mirror", "ram", "switchover", "handover", "postcopy", "done"] as const,
  ...["undone", "unknown"] as const,
];
const DESTINATIONS: readonly DestinationState[] = [
  ...["waiting", "prepared", "loading", "loaded", "starting", "postcopy"] as const,
  ...["finished", "failed", "lost"] as const,
];

Deno.test("a guest that runs is kept, whatever the journal says", () => {
  for (const journal of SOURCES) {
    const facts = { runs: true, journal, destination: undefined, force: false };
    assertEquals(sourceVerdict(facts), "keep", journal);
  }
  for (const journal of DESTINATIONS) {
    const facts = { runs: true, complete: true, ramLeft: false, journal, force: false };
    assertEquals(destinationVerdict(facts), "keep", journal);
  }
});

Deno.test("after the handover only the destination's word or the user's resumes the source", () => {
  for (const journal of ["handover", "unknown"] as const) {
    for (const destination of [undefined, ...DESTINATIONS]) {
      const expected = destination === "failed"
        ? "run-here"
        : destination === "finished"
        ? "leave"
        : "ask";
      const facts = { runs: false, journal, destination };
      assertEquals(sourceVerdict({ ...facts, force: false }), expected, destination);
      // That the destination has the guest is more than the user's word.
      const isThere = expected === "leave" || destination === "postcopy";
      const forced = isThere ? expected : "run-here";
      assertEquals(sourceVerdict({ ...facts, force: true }), forced, destination);
    }
  }
});

Deno.test("in post-copy the source waits for its destination, and resumes only by the user's word that it is gone", () => {
  for (const destination of [undefined, ...DESTINATIONS]) {
    const facts = { runs: false, journal: "postcopy", destination } as const;
    const expected = destination === "finished" ? "leave" : "ask";
    assertEquals(sourceVerdict({ ...facts, force: false }), expected, destination);
    const isThere = destination === "finished" || destination === "postcopy";
    const forced = isThere ? expected : "run-here";
    assertEquals(sourceVerdict({ ...facts, force: true }), forced, destination);
  }
});

Deno.test("before the handover the source resumes, and after it is done never, whatever is said", () => {
  for (const journal of SOURCES) {
    if (["handover", "postcopy", "unknown"].includes(journal)) continue;
    for (const destination of [undefined, ...DESTINATIONS]) {
      for (const force of [false, true]) {
        const verdict = sourceVerdict({ runs: false, journal, destination, force });
        assertEquals(verdict, journal === "done" ? "leave" : "run-here", journal);
      }
    }
  }
});

Deno.test("a destination never runs a guest without the user's word, and ends a QEMU whose guest was given up", () => {
  const table: Record<DestinationState, readonly [complete: string, empty: string]> = {
    waiting: ["discard", "keep"],
    prepared: ["discard", "keep"],
    loading: ["discard", "keep"],
    failed: ["discard", "keep"],
    loaded: ["discard", "discard"],
    starting: ["ask", "ask"],
    postcopy: ["keep", "ask"],
    lost: ["ask", "keep"],
    finished: ["keep", "keep"],
  };
  for (const journal of DESTINATIONS) {
    const verdicts = [true, false].map((complete) =>
      destinationVerdict({ runs: false, complete, ramLeft: false, journal, force: false })
    );
    assertEquals(verdicts, [...table[journal]], journal);
  }
});

Deno.test("the user's word runs only a guest that was loaded and not given up", () => {
  const forced = DESTINATIONS.filter((journal) =>
    destinationVerdict({ runs: false, complete: true, ramLeft: false, journal, force: true }) ===
      "run-here"
  );
  assertEquals(forced, ["loaded", "starting", "lost"]);
});

Deno.test("a destination never keeps, runs or forgets a handed-over guest whose RAM is partly at the source", () => {
  for (const journal of DESTINATIONS) {
    for (const force of [false, true]) {
      const facts = { complete: true, ramLeft: true, journal, force };
      assertEquals(destinationVerdict({ ...facts, runs: true }), "ask", journal);
      const isHandedOver = ["starting", "postcopy", "lost"].includes(journal);
      const verdict = destinationVerdict({ ...facts, runs: false });
      if (isHandedOver) assertEquals(verdict, "ask", journal);
      else assertEquals(verdict, journal === "finished" ? "keep" : "discard", journal);
    }
  }
});
