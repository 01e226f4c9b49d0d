import { assertEquals } from "@std/assert";
import type { DestinationState, SourceState } from "../../../src/migrate/handover/states.ts";
import { destinationVerdict, sourceVerdict } from "../../../src/migrate/handover/verdict.ts";

const SOURCES: readonly SourceState[] = [
  ...["prepare", "mirror", "ram", "switchover", "handover", "done", "undone", "unknown"] as const,
];
const DESTINATIONS: readonly DestinationState[] = [
  ...["waiting", "prepared", "loading", "loaded", "starting"] as const,
  ...["finished", "failed", "lost"] as const,
];

Deno.test("a guest that runs is kept, whatever the journal says", () => {
  for (const journal of SOURCES) {
    const facts = { runs: true, journal, destination: undefined, force: false };
    assertEquals(sourceVerdict(facts), "keep", journal);
  }
  for (const journal of DESTINATIONS) {
    const facts = { runs: true, complete: true, journal, force: false };
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
      const forced = expected === "leave" ? "leave" : "run-here";
      assertEquals(sourceVerdict({ ...facts, force: true }), forced, destination);
    }
  }
});

Deno.test("before the handover the source resumes, and after it is done never, whatever is said", () => {
  for (const journal of SOURCES) {
    if (journal === "handover" || journal === "unknown") continue;
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
    lost: ["ask", "keep"],
    finished: ["keep", "keep"],
  };
  for (const journal of DESTINATIONS) {
    const verdicts = [true, false].map((complete) =>
      destinationVerdict({ runs: false, complete, journal, force: false })
    );
    assertEquals(verdicts, [...table[journal]], journal);
  }
});

Deno.test("the user's word runs only a guest that was loaded and not given up", () => {
  const forced = DESTINATIONS.filter((journal) =>
    destinationVerdict({ runs: false, complete: true, journal, force: true }) === "run-here"
  );
  assertEquals(forced, ["loaded", "starting", "lost"]);
});
