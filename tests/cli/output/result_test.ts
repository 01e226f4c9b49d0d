import { assertEquals } from "@std/assert";
import { resultEvent } from "../../../src/cli/output/result.ts";

Deno.test("after a launch the end names the destination's QEMU, its output and the source's QEMU", () => {
  const launched = { what: "process 4711", log: "/var/log/vmferry/vm1.log" };
  const next = (quitSource: boolean) => {
    const event = resultEvent({ startedAt: 0, bytes: 0, guest: "running", launched, quitSource });
    return event.event === "result" ? event.next : [];
  };
  assertEquals(next(true), [
    "at the destination QEMU is process 4711; its output: /var/log/vmferry/vm1.log",
  ]);
  assertEquals(next(false).length, 2);
});
