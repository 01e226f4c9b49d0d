import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { runVmferry } from "../support/vmferry.ts";

/** A cancel after the handover has begun is answered and changes nothing. */
export const scenario: Scenario = {
  name: "too_late",
  about:
    "a cancel during the handover is rejected as too late on both sides, and the guest arrives",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context, {
      ...{ bytes: 8 << 20, gated: true, disks: [{ from: "raw", to: "raw" }] },
      guest: { ring: { start: 2048, length: 1024, runId: 5n } },
    });
    const starting = pair.gates.destination.hold("cont");
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await starting.arrived;
    for (const ferry of [migrate, receive]) {
      await ferry.waitEvent("phase", (e) => e.phase === "handover");
      ferry.signal("SIGINT");
      const { message } = await ferry.waitEvent("warning", (e) => e.code === "too-late");
      if (message !== "Too late to cancel: the guest is being handed over") {
        throw new Error(`${ferry.name} said "${message}"`);
      }
    }
    const cancel = await runVmferry(["cancel", "--run-dir", pair.runDir("source")]);
    if (cancel.code !== 3 || !/Too late to cancel/.test(cancel.stderr)) {
      throw new Error(`cancel ended with ${cancel.code}: ${cancel.stderr}`);
    }
    starting.release();
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    await pair.assertArrived();
  },
};
