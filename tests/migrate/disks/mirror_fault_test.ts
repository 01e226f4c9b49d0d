import { assertEquals } from "@std/assert";
import { mirrorFault, reasonOf } from "../../../src/migrate/disks/mirror_fault.ts";

const fault = (reason: string, operation?: string, finishing = false) => {
  const { code, side } = mirrorFault({ disk: "vd0", reason, operation, finishing });
  return `${code} ${side}`;
};

Deno.test("a mirror that cannot read its disk is a failure of the source", () => {
  assertEquals(fault("Input/output error", "read"), "disk-read-failed source");
});

Deno.test("a mirror that cannot write is a failure of the destination, a full disk by its own code", () => {
  assertEquals(fault("Input/output error", "write"), "disk-write-failed destination");
  assertEquals(fault(reasonOf("nospace"), "write"), "disk-full destination");
  assertEquals(fault(reasonOf("failed")), "disk-write-failed destination");
});

Deno.test("a cancelled mirror job is somebody's doing only until vmferry ends the mirrors", () => {
  assertEquals(fault("Operation canceled"), "mirror-cancelled source");
  assertEquals(fault("Operation canceled", undefined, true), "disk-write-failed destination");
});
