import { abortable } from "../../io/mod.ts";
import { MigrationError } from "../errors.ts";
import { runAgain } from "../guest/run_again.ts";
import { isToRun } from "../guest/run_states.ts";
import { BEFORE_HANDOVER } from "../handover/states.ts";
import type { SourceRecord } from "../journal.ts";
import type { SourceContext } from "./context.ts";
import { linkDestination } from "./destination.ts";
import { followRam } from "./follow_ram.ts";
import type { Arrived } from "./hand_over.ts";
import { prepare, type Prepared } from "./prepare.ts";
import type { Crossed } from "./switchover.ts";

/**
 * Goes on where a process that was killed has written `record`.
 *
 * @throws {MigrationError} code `cut-off`, where RAM was crossing: that cannot be resumed.
 */
export async function resume(
  context: SourceContext,
  record: SourceRecord,
): Promise<Prepared | Crossed | Arrived> {
  const { state } = context;
  if (state.current !== "prepare") {
    const guest = context.watchGuest(record.wasRunning);
    if (BEFORE_HANDOVER.includes(record.state)) {
      await guest.look((status) => isToRun(status, record));
    }
  }
  switch (state.current) {
    case "prepare":
      return await prepare(context);
    case "mirror":
      return await resumeMirrors(context, record);
  }
  const ram = await context.qemu.adopt(record);
  if (state.current === "done") {
    return { is: "arrived", guest: context.record.wasRunning ? null : "paused" };
  }
  if (state.current === "handover") return { is: "crossed", ram };
  if (state.current === "postcopy") {
    await followRam(context, ram);
    return { is: "arrived", guest: null };
  }
  throw new MigrationError(
    "failed",
    "cut-off",
    "source",
    "The process that migrated the guest ended while RAM was crossing. No process can resume that: " +
      "vmferry has undone the migration",
  );
}

async function resumeMirrors(context: SourceContext, record: SourceRecord): Promise<Prepared> {
  context.phase("mirror");
  const destination = linkDestination(context, undefined);
  context.verify(record.mirrors);
  const mirrors = await context.qemu.makeMirrors(record.mirrors, context.rttMs);
  // Before anything that can block on the connection, and after the undo steps are registered: if the guest
  // can't run, they are carried out.
  if (record.stopped === "held") await resumeGuest(context);
  if (record.stopped === "suspended") await context.guest?.adoptPause();
  await context.qemu.serveMirrors(false);
  await context.guardMachine();
  await abortable(destination.ready(), context.signal);
  return { is: "prepared", mirrors };
}

/** Resumes a guest that was paused for a moment when the process was killed. */
async function resumeGuest({ qmp, clock, state }: SourceContext): Promise<void> {
  const stuck = await runAgain(qmp, clock, true, false);
  if (stuck !== undefined) throw new MigrationError("failed", "guest-held", "source", stuck);
  await state.note({ stopped: "no" });
}
