/**
 * What is done with a guest that a destination's QEMU has loaded.
 *
 * @module
 */
import { type Clock, delay, type Logger, messageOf, withDeadline } from "../io/mod.ts";
import { type QmpClient, queryMigrate, waitMigration } from "../qmp/mod.ts";

/** How long QEMU may take to load what has crossed, without progress, ms. */
const LOAD_MS = 120_000;
/** How long the guest may take to run after `cont`, ms. */
const START_MS = 60_000;
/** Pause between two looks at it, ms. */
const LOOK_MS = 20;

/**
 * Waits until QEMU has loaded all of a guest.
 *
 * @throws {Error} in QEMU's words, when it could not.
 */
export async function guestLoaded(qmp: QmpClient, clock: Clock): Promise<void> {
  const isOver = (status: string) => status === "completed" || status === "failed";
  const { status, errorDesc } = await waitMigration(qmp, isOver, {
    ...{ stallMs: LOAD_MS, clock },
    // The source asks for this before it sends the last of it; where it did not, we only ask later.
    begun: Promise.resolve(),
  });
  if (status !== "completed") throw new Error(errorDesc ?? "QEMU could not load it");
}

/** QEMU's run state, such as `running`; `undefined` when it does not say. */
export async function guestStatus(qmp: QmpClient): Promise<string | undefined> {
  try {
    return (await qmp.execute("query-status", {})).status;
  } catch {
    return undefined;
  }
}

/**
 * Waits until a guest runs that was continued.
 *
 * @param check called when it does not run yet; what it throws ends the wait.
 * @throws {DeadlineError} when it does not run within a minute.
 */
export async function guestRuns(
  qmp: QmpClient,
  clock: Clock,
  check: () => void,
): Promise<string> {
  const running = async () => {
    while (true) {
      const status = await guestStatus(qmp);
      if (status === "running") return status;
      check();
      await delay(clock, LOOK_MS);
    }
  };
  return await withDeadline(clock, START_MS, "the guest to run", running());
}

/**
 * Ends a QEMU that has loaded the whole of a guest that was given up: it must never run, somebody's
 * `cont` would make it two.
 *
 * @returns whether it was ended.
 */
export async function discardLoaded(qmp: QmpClient, log: Logger): Promise<boolean> {
  try {
    if ((await queryMigrate(qmp)).status !== "completed") return false;
    await qmp.execute("quit", {});
    return true;
  } catch (error) {
    log.log("debug", `the destination's QEMU: ${messageOf(error)}`);
    return false;
  }
}
