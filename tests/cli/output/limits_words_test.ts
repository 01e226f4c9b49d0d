import { assertEquals } from "@std/assert";
import { limitsWords } from "../../../src/cli/output/limits_words.ts";

Deno.test("the limits name what was asked for, and a copy names no downtime", () => {
  const limits = { event: "limits" as const, bandwidth: null, maxDowntimeMs: 300 };
  assertEquals(limitsWords(limits), "bandwidth: no limit; downtime: at most 300 ms");
  assertEquals(limitsWords({ ...limits, maxDowntimeMs: 0 }), "bandwidth: no limit");
  const all = {
    ...{ ...limits, bandwidth: 1 << 20, pause: "when-copied" as const, timeoutMs: 90_000 },
    ...{ timeoutAction: "pause" as const, autoConverge: false, postcopy: "never" as const },
  };
  assertEquals(limitsWords(all).split("; "), [
    ...["bandwidth: at most 1.00 MiB/s", "downtime: at most 300 ms"],
    "the guest is paused as soon as its disks have been copied once",
    ...["the guest is not throttled", "no post-copy"],
    "in 1 min 30 s: pause the guest for the rest",
  ]);
});
