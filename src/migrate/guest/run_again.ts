import { type Clock, delay, messageOf, withDeadline } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import { runs } from "./run_states.ts";

/** How long a guest may take to run again, ms. */
const RUN_MS = 60_000;

/** Why a guest in S3 is left as it is, see {@link runAgain}. */
export const ASLEEP_STUCK =
  "The guest sleeps (S3), and QEMU has completed its migration: continuing it would end QEMU " +
  "(\"invalid runstate transition: 'postmigrate' -> 'suspended'\", seen with 10.0 and 11.1)";

/**
 * Makes the source's guest run again after a migration that came to nothing. Must only be called
 * where no destination can run it.
 *
 * @param pausedByUs a guest that stands `paused` was stopped by the migration, not by somebody else.
 * @param asleep it slept when QEMU stopped it for the switchover: after `completed`, `cont` aborts QEMU.
 * @returns what is wrong with it, or `undefined` when it runs.
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
        if (status === "postmigrate") await announce(qmp);
      } else if (status !== "finish-migrate") {
        return `The guest at the source is in state "${status}"`;
      }
      await delay(clock, 100);
    }
  };
  try {
    return await withDeadline(clock, RUN_MS, "the guest to run again", until());
  } catch (error) {
    return `Whether the guest runs at the source could not be made sure: ${messageOf(error)}`;
  }
}

/** As QEMU announces a guest that has arrived (its parameters announce-*), ms. */
const ROUNDS = { initial: 50, max: 550, rounds: 5, step: 100 } as const;

/**
 * Has QEMU announce the guest's NICs. The destination's QEMU did so when it had loaded the guest, before
 * anybody let it run (7.2 to 11.1), and the switches between send its packets there since. From 4.0 on.
 */
async function announce(qmp: QmpClient): Promise<void> {
  if (!qmp.hasCommand("announce-self")) return;
  // The guest runs, which is what counts; its next packet teaches the switches too.
  await qmp.execute("announce-self", ROUNDS).catch(() => {});
}
