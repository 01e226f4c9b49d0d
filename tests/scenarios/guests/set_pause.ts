import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** The user can set while a migration runs how it must end. */
export const scenario: Scenario = {
  name: "set_pause",
  about: "a guest that outruns its copy is paused by 'vmferry set' and runs at the destination",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, {
      ...{ bytes: 8 * MiB, disks: [{ from: "raw", to: "raw" }] },
      guest: { waitUs: 0, ramPages: 0, ramStep: 0 },
    });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), ["--bandwidth", "2M"]);
    await migrate.waitEvent("progress", (e) => e.phase === "mirror");
    await pair.set("pause=when-copied", "timeout=600", "timeout-action=pause");
    const { message } = await migrate.waitEvent("warning", (e) => e.code === "guest-suspended");
    const stop = await pair.source.events
      .waitFor("the guest to be paused", (e) => e.event === "STOP");
    await pair.set("bandwidth=none");
    await assertExit(migrate, 0);
    const ram = await migrate.waitEvent("phase", (e) => e.phase === "ram");
    if (stop.timestampMs > Date.parse(ram.time)) {
      throw new Error("RAM crossed before the guest was paused");
    }
    await assertExit(receive, 0);
    await pair.assertArrived();
    return String(message);
  },
};
