import { assertEquals, assertStringIncludes } from "@std/assert";
import { copyEvent } from "../../../src/cli/output/copy_event.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";

const FAILED = { side: "source", startedAt: 0, bytes: 0, images: [], hasBegun: true } as const;

Deno.test("a failed copy with --delta says under which name the older image may lie", () => {
  const error = new MigrationError("failed", "disk-full", "destination", "No space left");
  assertEquals(copyEvent({ ...FAILED, error }).next, []);
  const [next = ""] = copyEvent({ ...FAILED, error, openBases: ["/vm/a.img"] }).next;
  assertStringIncludes(next, "what was /vm/a.img");
  assertStringIncludes(next, ".NAME.vmferry-copy");
});
