import { assertEquals } from "@std/assert";
import { lineOf } from "../../../src/cli/output/lines.ts";

Deno.test("a receive of libvirt names the command for a domain, not the one for a QEMU", () => {
  const event = { event: "listening" as const, address: "vmferry://host2:1/TICKET" };
  assertEquals(
    lineOf({ ...event, libvirt: true }, false)?.split("\n")[1],
    "  vmferry domain NAME vmferry://host2:1/TICKET",
  );
  assertEquals(
    lineOf(event, false)?.split("\n")[1],
    "  vmferry migrate --qmp PATH vmferry://host2:1/TICKET",
  );
});
