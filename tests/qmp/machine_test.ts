import { assertEquals } from "@std/assert";
import { describeMachine, QmpClient } from "../../src/qmp/mod.ts";
import { GUEST, WaitingQemu } from "../support/fake_destination.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

Deno.test("the machine's RAM includes DIMMs and not the plugged part of virtio-mem", async () => {
  const [ours, theirs] = memoryPipe();
  const qemu = new WaitingQemu(theirs, {
    "query-memory-devices": () => ({
      return: [
        { type: "dimm", data: { id: "dimm1", size: 1024 } },
        { type: "virtio-mem", data: { id: "vm0", size: 4096 } },
      ],
    }),
  });
  const machine = await describeMachine(await QmpClient.open(ours));
  assertEquals(machine.ramBytes, GUEST.ramBytes + 1024);
  qemu.fake.close();
});
