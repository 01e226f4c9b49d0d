import { assert, assertEquals } from "@std/assert";
import {
  type DestinationFacts,
  settleVerdict,
  type SourceFacts,
} from "../../../../src/domain/source/settle/verdict.ts";

const STATES = ["absent", "shut-off", "running", "paused", "other"] as const;
const REASONS = ["migrating", "user", "post-copy", "post-copy failed"];

function here(state: SourceFacts["state"], change: Partial<SourceFacts> = {}): SourceFacts {
  return { state, reason: "migrating", job: false, wasPaused: false, ...change };
}

function there(state: DestinationFacts["state"], change: Partial<DestinationFacts> = {}) {
  return { state, reason: "migrated", incoming: false, ...change };
}

Deno.test("a guest that libvirt runs again stays at the source, whatever the destination says", () => {
  assertEquals(settleVerdict(here("running"), undefined), "stays");
  assertEquals(settleVerdict(here("running"), there("absent")), "stays");
});

Deno.test("a source with a job is looked at again", () => {
  assertEquals(settleVerdict(here("running", { job: true }), undefined), "wait");
  assertEquals(settleVerdict(here("paused", { job: true }), undefined), "wait");
});

Deno.test("a paused source asks the destination first", () => {
  assertEquals(settleVerdict(here("paused"), undefined), "ask");
});

Deno.test("a paused source is resumed when the destination does not have the domain", () => {
  assertEquals(settleVerdict(here("paused"), there("absent")), "resume");
  assertEquals(settleVerdict(here("paused"), there("shut-off")), "resume");
});

Deno.test("a paused source whose guest runs at the destination is finished", () => {
  assertEquals(settleVerdict(here("paused"), there("running")), "finish");
});

Deno.test("a destination that still receives is asked again", () => {
  assertEquals(settleVerdict(here("paused"), there("paused", { incoming: true })), "wait");
  assertEquals(settleVerdict(here("paused"), there("running", { incoming: true })), "wait");
});

Deno.test("a guest that ran at the destination and ended there is neither resumed nor waited for", () => {
  for (const state of ["paused", "shut-off", "absent"] as const) {
    for (const its of ["other", "absent"] as const) {
      assertEquals(settleVerdict(here(state), there(its, { hasRun: true })), "has-run");
    }
  }
});

Deno.test("a guest that was paused before stays paused where it is", () => {
  const source = here("paused", { wasPaused: true, reason: "user" });
  assertEquals(settleVerdict(source, there("absent")), "stays");
  assertEquals(settleVerdict(source, there("paused")), "finish");
});

Deno.test("a guest that ran is not given up for a paused one at the destination", () => {
  assertEquals(settleVerdict(here("paused"), there("paused")), "wait");
});

Deno.test("a domain that is gone here has moved if the destination runs it, else it has ended", () => {
  for (const state of ["absent", "shut-off"] as const) {
    assertEquals(settleVerdict(here(state), there("running")), "migrated");
    assertEquals(settleVerdict(here(state), there("absent")), "ended");
  }
});

Deno.test("post-copy that was cut off is settled by nobody but libvirt", () => {
  const reason = "post-copy failed";
  const source = here("paused", { reason });
  assertEquals(settleVerdict(source, there("running", { reason })), "split");
  assertEquals(settleVerdict(source, there("paused", { reason })), "split");
  assertEquals(settleVerdict(source, there("absent")), "split");
  assertEquals(settleVerdict(source, there("running", { reason: "post-copy" })), "wait");
  const goesOn = here("paused", { reason: "post-copy" });
  assertEquals(settleVerdict(goesOn, there("running", { reason })), "wait");
  assertEquals(settleVerdict(source, there("running")), "finish");
});

Deno.test("no guest is resumed unless the destination does not have it, nor destroyed unless it runs there", () => {
  let seen = 0;
  for (const state of STATES) {
    for (const reason of REASONS) {
      for (const job of [false, true]) {
        for (const wasPaused of [false, true]) {
          const source = { state, reason, job, wasPaused };
          const first = settleVerdict(source, undefined);
          assert(!["resume", "finish", "migrated", "ended"].includes(first), first);
          for (const its of STATES) {
            for (const incoming of [false, true]) {
              for (const itsReason of REASONS) {
                const destination = { state: its, reason: itsReason, incoming };
                const verdict = settleVerdict(source, destination);
                seen++;
                if (verdict === "resume") {
                  assert(state === "paused" && !job && !reason.startsWith("post-copy"));
                  assert(!incoming && ["absent", "shut-off"].includes(its));
                }
                if (verdict === "finish" || verdict === "migrated") {
                  assert(!incoming && !itsReason.startsWith("post-copy"));
                  assert(its === "running" || (its === "paused" && wasPaused));
                }
              }
            }
          }
        }
      }
    }
  }
  assertEquals(seen, 3200);
});
