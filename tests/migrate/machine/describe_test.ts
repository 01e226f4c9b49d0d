import { assertEquals, assertRejects } from "@std/assert";
import { MachineDescriber, readInventory } from "../../../src/migrate/machine/describe.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { DEVICES_PER_PAGE, RpcError } from "../../../src/rpc/mod.ts";
import { WaitingQemu } from "../../support/fake_destination.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { inventory } from "./devices.ts";

Deno.test("an inventory with more devices than a message holds crosses in pages", async () => {
  const [ours, theirs] = memoryPipe();
  let looks = 0;
  const devices = Array.from({ length: DEVICES_PER_PAGE }, (_, i) => `  dev: d${i}, id "n${i}"`);
  const qemu = new WaitingQemu(theirs, {
    "human-monitor-command": (args) => {
      if (args["command-line"] !== "info qtree") return { return: "" };
      looks++;
      return { return: ["bus: main-system-bus", ...devices, '  dev: last, id ""'].join("\r\n") };
    },
  });
  const describer = new MachineDescriber(await QmpClient.open(ours));
  const { devices: all } = await readInventory((page) => describer.page({ page }));
  assertEquals([all.length, looks], [DEVICES_PER_PAGE + 1, 1]);
  await assertRejects(() => describer.page({ page: 2 }), RpcError, "There is no page 2");
  qemu.fake.close();
});

Deno.test("a list in which a device comes before its parent is refused", async () => {
  const { machine } = inventory();
  const device = {
    parent: 1,
    key: "a",
    bus: "PCI",
    type: "x",
    id: "",
    address: "",
    properties: {},
  };
  await assertRejects(
    () => readInventory(() => Promise.resolve({ machine, devices: [device], pages: 1 })),
    RpcError,
    "comes before its parent",
  );
});
