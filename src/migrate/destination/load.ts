/**
 * What is done with a guest that a destination's QEMU has loaded.
 *
 * @module
 */
import { type Clock, delay, type Logger, messageOf, withDeadline } from "../../io/mod.ts";
import { type QmpClient, queryMigrate, waitMigration } from "../../qmp/mod.ts";
import { type Carrier, patience } from "../timeouts.ts";
import { runs } from "../guest/run_states.ts";

/** How long QEMU may take to load what has crossed, ms, without progress while the connection is there. */
const LOAD_MS = 120_000;
/** How long a source that has cut the stream may take to say so, ms. */
const CAUSE_MS = 1_000;
/** How long QEMU may take to find that no more comes, without progress, ms. */
const DISCARD_MS = 2_000;
/** How long a QEMU that is about to end may take for it, ms. */
const END_MS = 10_000;
/** How long the guest may take to run after `cont`, ms. */
const START_MS = 60_000;
/** Pause between two looks at it, ms. */
const LOOK_MS = 20;

const isOver = (status: string) => status === "completed" || status === "failed";

/**
 * Waits until QEMU has loaded all of a guest.
 *
 * @throws {Error} in QEMU's words, when it could not.
 */
export async function guestLoaded(
  qmp: QmpClient,
  clock: Clock,
  carrier: () => Carrier | undefined,
): Promise<void> {
  const { status, errorDesc } = await waitMigration(qmp, isOver, {
    ...{ ...patience(LOAD_MS, carrier), clock },
    // The source asks for this before it sends the last of it; where it did not, we only ask later.
    begun: Promise.resolve(),
  });
  if (status !== "completed") throw new Error(errorDesc ?? "QEMU could not load it");
}

/**
 * Calls `tell` once with QEMU's words when it could not load what comes in and goes on running, as it
 * does from 9.1 on (`exit-on-error`). The source may have cut the stream, and says so first.
 */
export function onLoadFailed(qmp: QmpClient, clock: Clock, tell: (cause: Error) => void): void {
  const stop = qmp.onEvent(({ event, data }) => {
    if (event !== "MIGRATION" || data.status !== "failed") return;
    stop();
    clock.after(CAUSE_MS, async () => {
      const info = await queryMigrate(qmp).catch(() => undefined);
      tell(new Error(info?.errorDesc ?? "QEMU says no more"));
    });
  });
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
 * Waits until a guest runs that was continued, or has run.
 *
 * @param options `hasRun`: whether QEMU has said so, by its event RESUME. `check`: called when it does
 * not run yet; what it throws ends the wait.
 * @returns QEMU's run state.
 * @throws {DeadlineError} when it does not run within a minute.
 */
export async function guestRuns(
  qmp: QmpClient,
  clock: Clock,
  { hasRun, check }: { readonly hasRun: () => boolean; readonly check: () => void },
): Promise<string> {
  const running = async () => {
    while (true) {
      const status = await guestStatus(qmp);
      if (status !== undefined && (runs(status) || hasRun())) return status;
      check();
      await delay(clock, LOOK_MS);
    }
  };
  return await withDeadline(clock, START_MS, "the guest to run", running());
}

/**
 * Sees to the end of a guest that was given up, once nothing more comes of it. Waits for what QEMU still
 * loads, and for a QEMU that ends: whoever starts another one must not meet it. Ends a QEMU that has the
 * whole guest: it must never run, somebody's `cont` would make it two.
 *
 * @returns whether QEMU was told to end.
 */
export async function discardLoaded(qmp: QmpClient, clock: Clock, log: Logger): Promise<boolean> {
  let told = false;
  try {
    const { status } = await waitMigration(qmp, isOver, { stallMs: DISCARD_MS, clock });
    if (status === "completed") {
      await qmp.execute("quit", {});
      told = true;
    }
    // From 9.1 on it stays when it can't load what comes in (`exit-on-error`).
    if (told || !qmp.atLeast(9, 1)) {
      await withDeadline(clock, END_MS, "QEMU to end", qmp.closed);
    }
  } catch (error) {
    log.log("debug", `the destination's QEMU: ${messageOf(error)}`);
  }
  return told;
}
