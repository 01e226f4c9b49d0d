import { assertEquals } from "@std/assert";
import { lineOf } from "../../../src/cli/output/lines.ts";

Deno.test("a migration that waits names those that run, also when no progress is wanted", () => {
  const event = {
    ...{ event: "waiting" as const, maxParallel: 2, lockDir: "/run/vmferry/parallel" },
    running: [{ pid: 7, what: 'guest "vm1"' }, { pid: 8, what: "copy of /vm\n2.raw" }],
  };
  for (const quiet of [false, true]) {
    assertEquals(
      lineOf(event, quiet),
      "vmferry: waiting until fewer than 2 migrations run on this host (--max-parallel): " +
        'guest "vm1" (process 7), copy of /vm?2.raw (process 8)',
    );
  }
});
