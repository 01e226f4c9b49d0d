/**
 * The end of a launch whose guest has come to this host, or may have.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import type { JournalRecord, JournalStore } from "../../migrate/mod.ts";
import type { LaunchHost } from "./host.ts";
import { keepCommand, startAtBoot } from "./keep.ts";
import { keptName } from "./kept_name.ts";
import type { LaunchPlan } from "./plan.ts";
import type { Recorded } from "./recorded.ts";
import { removePidFile } from "./remove.ts";

/** States of a migration in which the guest runs here, or may. */
const HANDED_OVER = ["starting", "finished", "lost"];

/** A migration's journal that notes in the launch's record, first, that the guest may run here. */
export function guarded(
  journal: JournalStore<JournalRecord>,
  current: () => Recorded | undefined,
): JournalStore<JournalRecord> {
  return {
    write: async (record) => {
      const recorded = current();
      const mayRun = HANDED_OVER.includes(record.state);
      if (mayRun && !recorded?.current.mayHaveGuest) await recorded?.write({ mayHaveGuest: true });
      await journal.write(record);
      // It has not been started, and never will be.
      const isOver = record.state === "failed";
      if (isOver && recorded?.current.mayHaveGuest) await recorded.write({ mayHaveGuest: false });
    },
  };
}

/** Keeps what stays with a guest. Never rejects; returns what could not be done. */
export async function commitLaunch(
  host: LaunchHost,
  plan: LaunchPlan,
  recorded: Recorded,
): Promise<readonly string[]> {
  const failures: string[] = [];
  const attempt = async (what: string, act: () => Promise<unknown>) => {
    try {
      await act();
    } catch (error) {
      failures.push(`${what}: ${messageOf(error)}`);
    }
  };
  await attempt("the journal", () => recorded.write({ state: "committed", mayHaveGuest: true }));
  await attempt("the pid file", () => removePidFile(host, recorded.current));
  // What starts the guest there knows its command line.
  if (recorded.current.qemu.site) return failures;
  await attempt("the guest's command line", async () => {
    const name = await keptName(host, plan);
    const kept = { ...plan, record: { ...plan.record, name } };
    await attempt("the guest's command line", () => keepCommand(host, kept));
    if (!plan.start.persist) return;
    await attempt("the unit that starts the guest at boot", () => startAtBoot(host, kept));
  });
  return failures;
}
