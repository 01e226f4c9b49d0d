import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";
import { busy, BusyPair, largestThrottle } from "./lab/busy_pair.ts";

/** What the guest changes, MiB per second, and of how much RAM. */
const GUEST = { mibPerSecond: 120, mib: 48 } as const;
/** Percent: with it the guest still changes more than crosses. */
const THROTTLE = 30;
const TOO_BUSY = ["--bandwidth", "24M", "--throttle-max", String(THROTTLE)];
/** When the time is up, s: long after the last throttle. */
const TIMEOUT = ["--timeout", "25", "--timeout-action"];

/** The last steps of the ladder, for a guest that its largest throttle leaves too busy. */
export const scenario: Scenario = {
  name: "ladder_end",
  about:
    "a guest that no throttle helps goes by post-copy if allowed, else --timeout-action decides",
  timeoutMs: 600_000,
  long: true,
  async run(context) {
    const figures: string[] = [];

    context.note("post-copy is allowed: the last step");
    await migrated(context, "postcopy", ["--allow-postcopy"], async (pair, ferries) => {
      const { pauseMs } = await pair.arrived(ferries, 120_000);
      assertSteps(ferries.migrate, ["auto-converge", "postcopy"]);
      assertPhase(ferries.migrate, "postcopy");
      await pair.assertWhole();
      figures.push(`post-copy: pause ${Number(pauseMs).toFixed(0)} ms`);
    });

    context.note("no post-copy: the guest is paused for the rest when the time is up");
    await migrated(context, "pause", [...TIMEOUT, "pause"], async (pair, ferries) => {
      const { pauseMs } = await pair.arrived(ferries, 120_000);
      assertSteps(ferries.migrate, ["auto-converge"]);
      await ferries.migrate.waitEvent("warning", (e) => e.code === "ram-not-converging");
      await pair.assertWhole();
      figures.push(`pause: ${Number(pauseMs).toFixed(0)} ms`);
    });

    context.note("no post-copy: the migration is undone when the time is up");
    await migrated(context, "abort", [...TIMEOUT, "abort"], async (pair, { migrate, receive }) => {
      await assertExit(migrate, 1, 120_000);
      const { error } = await migrate.waitEvent("result");
      const { code } = error as { code: string };
      if (code !== "timeout") throw new Error(`Got the code ${code}, expected timeout`);
      await receive.exit();
      await pair.assertWholeAt(pair.source);
    });
    return figures.join("; ");
  },
};

type Ferries = Awaited<ReturnType<BusyPair["migrate"]>>;

/** A migration of its own of the guest that is too busy. */
async function migrated(
  context: ScenarioContext,
  name: string,
  args: string[],
  then: (pair: BusyPair, ferries: Ferries) => Promise<void>,
): Promise<void> {
  const pair = await BusyPair.start(context, { name, sector: busy(GUEST), memoryMiB: 96 });
  await pair.running();
  const ferries = await pair.migrate(...TOO_BUSY, ...args);
  await then(pair, ferries);
  const throttle = largestThrottle(ferries.migrate.events.entries);
  if (throttle !== THROTTLE) throw new Error(`Throttled by ${throttle} %, expected ${THROTTLE}`);
  await pair.end();
}

function assertSteps({ events }: Vmferry, expected: string[]): void {
  const steps = events.entries.filter((e) => e.event === "ladder").map((e) => e.step);
  if (steps.join() !== expected.join()) {
    throw new Error(`Got the steps ${steps.join(", ")}, expected ${expected.join(", ")}`);
  }
}

function assertPhase({ events }: Vmferry, phase: string): void {
  const has = events.entries.some((e) => e.event === "phase" && e.phase === phase);
  if (!has) throw new Error(`There was no phase ${phase}`);
}
