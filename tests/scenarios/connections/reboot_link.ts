import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/**
 * How long the source's QEMU may be blocked, ms: 2 s of silence, 2 s without an answer, some ticks, and a busy
 * machine. Without vmferry's help it would be blocked until the cable is plugged in.
 */
const MOST_MS = 15_000;

/** A reset drains the disks while a mirror's writes are in flight over a silent connection. */
export const scenario: Scenario = {
  name: "reboot_link",
  about: "a guest that reboots while the connection is silent is blocked for a few seconds at most",
  timeoutMs: 180_000,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await Pair.start(context, {
      network,
      guest: { ramPages: 0, ramStep: 0 },
    });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address(), ["--bandwidth", "10M"]);
    await migrate.waitEvent("progress", (e) => moved(e) > 8 << 20);
    await network.cut();
    // The writes in flight are stuck by then; the guest runs, and the loss is not detected yet.
    await pair.source.waitCounter(await pair.source.counter() + 300);
    const counter = await pair.source.counter();
    const since = performance.now();
    await pair.source.execute("system_reset");
    await pair.source.events.waitFor("RESET", (e) => e.event === "RESET");
    await pair.source.status();
    const stood = Math.round(performance.now() - since);
    if (stood > MOST_MS) throw new Error(`QEMU stood for ${stood} ms, expected ${MOST_MS} at most`);
    await network.restore();
    await pair.set("bandwidth=none");
    await assertExit(migrate, 0, 120_000);
    await assertExit(receive, 0);
    // By then it has overwritten the sectors from before the reset, and the ring is complete again.
    await pair.destination.waitCounter(counter + 500);
    await pair.assertArrived();
    return `QEMU stood for ${stood} ms`;
  },
};

function moved(event: { readonly [member: string]: unknown }): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}
