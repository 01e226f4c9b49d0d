import { Network } from "../support/network.ts";
import { Pair } from "../pair/pair.ts";
import type { PairDisk } from "../pair/pair_options.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import type { JsonEvent, Vmferry } from "../support/vmferry.ts";

const LANES = 4;
const RESETS = 8;
const OPTIONS = ["--connections", String(LANES), "--dead-after", "2"];
const DISK: PairDisk = { from: "raw", to: "raw" };

/** Four disks over four connections, which are lost one by one and together, and both vmferrys killed. */
export const scenario: Scenario = {
  name: "lanes",
  about:
    "no write is lost over four connections that are lost one by one and together, nor by kill -9 of either end",
  timeoutMs: 400_000,
  async run(context) {
    const network = context.use(await Network.create());
    const pair = await Pair.start(context, { network, disks: Array(LANES).fill(DISK) });
    let receive = pair.receive(["--dead-after", "2"]);
    const address = await receive.address();
    let migrate = pair.migrate(address, [...OPTIONS, "--bandwidth", "10M"]);
    await migrate.waitEvent("phase", (e) => e.phase === "mirror");
    await migrate.waitEvent("progress", (e) => moved(e) > 0);
    assertLanes(await network.ports());

    for (let i = 0; i < RESETS; i++) {
      context.note(`reset ${i}`);
      const ports = await network.ports();
      const back = linkIs(migrate, "up");
      await network.resetOne(ports[i % ports.length]!);
      await back();
    }
    context.note("one connection carries nothing");
    const [silent] = await network.ports();
    const resumed = linkIs(migrate, "up");
    await network.loseOne(silent!);
    await resumed();
    context.note("all are cut");
    const again = linkIs(migrate, "up");
    const down = linkIs(migrate, "down");
    await network.cut();
    await down();
    await network.restore();
    await again();

    context.note("the source is killed");
    await kill(migrate);
    migrate = pair.migrate(address, ["--resume", ...OPTIONS, "--bandwidth", "10M"]);
    await movesOn(migrate, 0);
    assertLanes(await network.ports());
    context.note("the destination is killed");
    const sessions = count(migrate, "session");
    await kill(receive);
    receive = pair.receive(["--resume", "--dead-after", "2"]);
    await receive.address();
    await movesOn(migrate, sessions);
    assertLanes(await network.ports());
    const phase = migrate.events.entries.findLast((e) => e.event === "phase")?.phase;
    if (phase !== "mirror") throw new Error(`The copy was over too early (${phase})`);

    for (const later of ["ram", "switchover", "handover"]) {
      await migrate.waitEvent("phase", (e) => e.phase === later, 120_000);
      context.note(`a reset in ${later}`);
      for (const port of (await network.ports()).slice(0, 2)) await network.resetOne(port);
    }
    await assertExit(migrate, 0, 120_000);
    await assertExit(receive, 0, 60_000);
    await pair.assertArrived();
    const { totalMs } = await migrate.waitEvent("result");
    return `${RESETS} resets of one connection, 2 kills; the last process took ${totalMs} ms`;
  },
};

function assertLanes(ports: readonly number[]): void {
  if (ports.length !== LANES) throw new Error(`${ports.length} connections, expected ${LANES}`);
}

/** Notes how often the connection was so; the function waits until it is so once more. */
function linkIs(ferry: Vmferry, state: string): () => Promise<unknown> {
  const seen = () =>
    ferry.events.entries.filter((e) => e.event === "link" && e.state === state).length;
  const before = seen();
  return () =>
    ferry.events.waitFor(`the connections to be ${state}`, () => seen() > before, 60_000);
}

/** Waits until the disks go on in a later session than the first `sessions`. */
async function movesOn(ferry: Vmferry, sessions: number): Promise<void> {
  await ferry.events.waitFor("another session", () => count(ferry, "session") > sessions, 60_000);
  // Only now: what was written before is reported a moment later.
  await ferry.waitEvent("progress", () => true);
  const before = moved(latest(ferry));
  await ferry.waitEvent("progress", (e) => moved(e) > before);
}

function count(ferry: Vmferry, event: string): number {
  return ferry.events.entries.filter((e) => e.event === event).length;
}

async function kill(ferry: Vmferry): Promise<void> {
  ferry.signal("SIGKILL");
  await ferry.exit();
}

function latest(ferry: Vmferry): JsonEvent {
  return ferry.events.entries.findLast((e) => e.event === "progress")!;
}

function moved(event: JsonEvent): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}
