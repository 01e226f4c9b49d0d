import { assertTold, BUSY, whileInRam, whileMirroring } from "../support/failing.ts";
import { Pair } from "../pair/pair.ts";
import { MiB, type PairOptions } from "../pair/pair_options.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import type { Qemu } from "../support/qemu.ts";

/** Events of the guest while it is migrated. */
export const scenario: Scenario = {
  name: "guest_events",
  about:
    "a shutdown, reset or pause of the guest during a migration is reported and has the right outcome",
  timeoutMs: 300_000,
  long: true,
  async run(context) {
    context.note("the guest shuts down, and QEMU keeps running (-no-shutdown)");
    const off = await started(context, "off", { sourceExtra: ["-no-shutdown"] });
    const going = await whileMirroring(off);
    await powerOff(off.source);
    await assertTold(context, going, {
      ...{ side: "source", code: "guest-shutdown", next: /no running guest left to move/ },
      message: /^The guest shut down \(guest-shutdown\) during the migration$/,
    });
    await off.assertStillAtSource({ status: "shutdown" });

    context.note("the guest shuts down, and QEMU ends");
    const gone = await started(context, "gone");
    const standing = await whileMirroring(gone);
    await powerOff(gone.source);
    await assertTold(context, standing, {
      ...{ side: "source", code: "guest-shutdown", next: /no running guest left to move/ },
      message: /^The guest shut down \(guest-shutdown\) during the migration$/,
    });

    context.note("the guest is reset while its RAM crosses: it arrives and boots");
    const reset = await started(context, "reset", { gated: true, guest: STILL });
    const crossing = await whileInRam(reset, "1M");
    const counter = await reset.source.counter();
    await reset.source.execute("system_reset");
    const { message } = await crossing.migrate.waitEvent(
      "warning",
      (e) => e.code === "guest-reset",
    );
    await reset.set("bandwidth=none", "max-downtime=300");
    await assertExit(crossing.migrate, 0);
    await assertExit(crossing.receive, 0);
    // By then it has overwritten the sectors from before the reset, and the ring is complete again.
    await reset.destination.waitCounter(counter + 500);
    await reset.assertArrived();

    context.note("its owner pauses the guest: it arrives paused");
    const paused = await started(context, "paused");
    const copying = await whileMirroring(paused);
    await paused.source.execute("stop");
    paused.nowPaused();
    await copying.migrate.waitEvent("warning", (e) => e.code === "guest-paused");
    await paused.set("bandwidth=none");
    await assertExit(copying.migrate, 0);
    await assertExit(copying.receive, 0);
    await paused.assertArrived();
    return String(message);
  },
};

/** A guest without state in RAM that would survive a reset. */
const STILL = { ramPages: 0, ramStep: 0 };

async function started(
  context: ScenarioContext,
  name: string,
  options: PairOptions = {},
): Promise<Pair> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  return await Pair.start(context, { dir, bytes: 24 * MiB, guest: BUSY, ...options });
}

/** As the guest's own operating system does it: SLP_EN in the PM1a control register of ACPI. */
async function powerOff(qemu: Qemu): Promise<void> {
  await qemu.execute("human-monitor-command", { "command-line": "o/h 0x604 0x2000" })
    .catch((error) => {
      if (!qemu.ended) throw error;
    });
}
