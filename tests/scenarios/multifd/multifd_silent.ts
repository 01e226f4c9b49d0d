import { systemClock, withDeadline } from "../../../src/io/mod.ts";
import { Pair } from "../pair/pair.ts";
import { BUSY, whileInRam } from "../support/failing.ts";
import { Network } from "../support/network.ts";
import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import type { JsonEvent, Vmferry } from "../support/vmferry.ts";

/** A cable so slow that the streams of RAM wait in queues: the destination's QEMU waits for one of them most of the time. */
const MBIT = 8;
/** How long QEMU answers nothing before it is taken to wait for a stream, ms. */
const SILENT_MS = 1500;
/** How often the cable is pulled until QEMU waits. */
const TRIES = 20;
/** The connection's loss and the grace take 7 s, vmferry's look at QEMU 5 s; the rest is for a busy machine. */
const ENDS_MS = 40_000;

/** A destination's QEMU that waits forever for a stream that has ended. */
export const scenario: Scenario = {
  name: "multifd_silent",
  about:
    "receive ends within seconds and says what to do when a lost source leaves its QEMU waiting for multifd",
  timeoutMs: 200_000,
  slow: true,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await Pair.start(context, {
      ...{ network, gated: true, guest: BUSY, bytes: 4 << 20 },
      disks: [{ from: "raw", to: "raw" }],
    });
    const options = ["--multifd", "4", "--compress", "off", "--grace", "2"];
    await network.limit(MBIT);
    const { receive, migrate } = await whileInRam(pair, "none", options);
    await cutWhileQemuWaits(network, pair, migrate);
    migrate.signal("SIGKILL");
    await migrate.exit();
    const start = performance.now();
    await assertFails(receive, 1, /^connection-lost: /, ENDS_MS);
    const ms = performance.now() - start;
    const warning = await receive.waitEvent("warning", ({ code }) => code === "destination-silent");
    if (!/SIGKILL/.test(String(warning.message))) throw new Error(String(warning.message));

    context.note("the advice: QEMU is killed and started again");
    await pair.destination.crash();
    await network.limit(1000);
    await network.restore();
    await pair.renewDestination();
    const again = pair.receive();
    const next = pair.migrate(await again.address(), ["--resume"]);
    await assertExit(next, 1);
    const last = pair.migrate(await again.address());
    await assertExit(last, 0);
    await assertExit(again, 0);
    await pair.assertArrived();
    return `receive ended ${(ms / 1000).toFixed(1)} s after the source`;
  },
};

/** Pulls the cable at a moment when QEMU waits for a part of a stream that has not arrived. */
async function cutWhileQemuWaits(
  network: Network,
  { destination }: Pair,
  { events }: Vmferry,
): Promise<void> {
  for (let i = 0; i < TRIES; i++) {
    await network.cut();
    const answer = destination.execute("query-status").then(() => false, () => false);
    const isSilent = withDeadline(systemClock, SILENT_MS, "QEMU", answer).catch(() => true);
    if (await isSilent) return;
    await network.restore();
    const count = events.entries.length;
    const isLater = (e: JsonEvent) => e.event === "progress" && events.entries.indexOf(e) >= count;
    await events.waitFor("RAM to go on", isLater);
  }
  throw new Error(`QEMU answered in each of ${TRIES} cuts`);
}
