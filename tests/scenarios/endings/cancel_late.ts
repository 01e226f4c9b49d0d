import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertNotCancelledLate } from "../pair/pair_outcome.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** Times of the cancel, ms after migrate-continue: as QEMU hands the disks over, while it does, and after. */
const MOMENTS_MS = [-60, -30, -25, -20, -18, -16, -12, -6, 0, 40];

/** A cancel from migrate-continue on, when QEMU hands the disks and the guest over. */
export const scenario: Scenario = {
  name: "cancel_late",
  about:
    "after a cancel while QEMU hands over disks and guest, the guest keeps running at the source",
  timeoutMs: 240_000,
  slow: true,
  async run(context) {
    const pair = await Pair.start(context, {
      ...{ bytes: 4 * MiB, disks: [{ from: "raw", to: "raw" }], gated: true, memoryMiB: 64 },
      // The guest writes as soon as it runs again: QEMU aborts unless its disks are active by then.
      guest: { waitUs: 200, ramPages: 256, ramStep: 2 },
    });
    const { source, destination } = pair.gates;
    let completed = 0;
    for (const momentMs of MOMENTS_MS) {
      context.note(`cancelled at ${momentMs} ms`);
      const before = pair.source.events.entries.length;
      const toldToGo = source.hold("migrate-continue");
      const copying = source.hold("blockdev-mirror");
      const receive = pair.receive();
      const migrate = pair.migrate(await receive.address());
      await copying.arrived;
      // Without it the destination does not report that it has loaded the guest. The comparison of the
      // disks, which has ended by now, used an NBD server too.
      const loading = destination.hold("nbd-server-stop");
      copying.release();
      await Promise.all([toldToGo.arrived, loading.arrived]);
      const cancel = () => migrate.signal("SIGTERM");
      const go = () => toldToGo.release();
      momentMs < 0 ? cancel() : go();
      // The gate holds everything back meanwhile: the commands of the cancelled vmferry reach QEMU right
      // after migrate-continue.
      const until = performance.now() + Math.abs(momentMs);
      while (performance.now() < until);
      momentMs < 0 ? go() : cancel();
      await pair.source.events.waitFor(
        "the guest to run again",
        (e) => e.event === "RESUME" && pair.source.events.entries.indexOf(e) >= before,
      );
      loading.release();
      await assertExit(migrate, 5, 30_000);
      await assertExit(receive, 5, 30_000);
      for (const ferry of [migrate, receive]) {
        const { next } = await ferry.waitEvent("result");
        if (!/QEMU again with -incoming defer/.test(String(next))) {
          throw new Error(`${ferry.name}: got next "${next}", expected QEMU to be started anew`);
        }
      }
      const statuses = pair.source.events.entries.slice(before)
        .filter((e) => e.event === "MIGRATION").map((e) => e.data.status);
      if (statuses.includes("completed")) completed++;
      await pair.assertStillAtSource({ destinationGone: true });
      await pair.renewDestination();
    }
    const told = source.commands.filter((command) => command === "migrate-continue").length;
    if (told !== MOMENTS_MS.length) throw new Error(`QEMU got migrate-continue ${told} times`);
    assertNotCancelledLate(pair);
    return `${MOMENTS_MS.length} times, ${completed} of them after QEMU had given all away`;
  },
};
