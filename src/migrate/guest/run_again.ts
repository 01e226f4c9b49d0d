import { type Clock, delay, messageOf, silentLogger, withDeadline } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import { announce } from "./announce.ts";
import { runs } from "./run_states.ts";

/** How long QEMU may take to run the guest again, ms. */
const RUN_MS = 60_000;

/** Why {@link runAgain} does not resume a guest in S3. */
export const ASLEEP_STUCK =
  "The guest sleeps (S3), and the source's QEMU has completed its migration. To resume it would end " +
  "QEMU (\"invalid runstate transition: 'postmigrate' -> 'suspended'\", seen with 10.0 and 11.1)";

/**
 * Runs the source's guest again after a failed migration (`cont`). Call it only where no destination
 * can run the guest.
 *
 * @param pausedByUs a guest in state `paused` was paused by the migration, not by its owner.
 * @param asleep the guest slept when QEMU paused it for the switchover: once its migration is
 * `completed`, `cont` aborts QEMU.
 * @returns `undefined` when the guest runs, else a message. Never rejects.
 */
export async function runAgain(
  qmp: QmpClient,
  clock: Clock,
  pausedByUs: boolean,
  asleep: boolean,
): Promise<string | undefined> {
  const until = async (): Promise<string | undefined> => {
    while (true) {
      const { status } = await qmp.execute("query-status", {});
      if (runs(status)) return undefined;
      if (status === "postmigrate" && asleep) return ASLEEP_STUCK;
      if (status === "postmigrate" || (status === "paused" && pausedByUs)) {
        await qmp.execute("cont", {});
        // The destination may have announced the NICs: switches send the guest's packets there.
        if (status === "postmigrate") void announce(qmp, clock, silentLogger);
      } else if (status !== "finish-migrate") {
        return `The guest at the source is in state "${status}"`;
      }
      await delay(clock, 100);
    }
  };
  try {
    return await withDeadline(clock, RUN_MS, "the guest to run again", until());
  } catch (error) {
    return "vmferry cannot tell whether the guest runs at the source. " +
      `Ask its QEMU ('info status'): ${messageOf(error)}`;
  }
}
